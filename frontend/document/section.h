/* frontend/document/section.h - change one section of a YAML file and leave the rest as it is. */
#ifndef FRONTEND_SECTION_H
#define FRONTEND_SECTION_H

#include "frontend/document/yaml.h"

/* 'content' with the lines of section 'name' replaced by "name:" and these entries, or with them at its end; to *out.
 * Comments on lines of their own stay, and so does what stands behind the name. 'root' is the content's tree. False
 * after an error: the sections are not a line each. */
bool fe_section_replace(const char *content, const fe_yaml *root, const char *name, const char *const *entries,
                        int count, text *out, diag *d);

#endif
