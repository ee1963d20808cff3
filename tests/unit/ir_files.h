/* tests/unit/ir_files.h - one test case for each IR file of a folder. */
#ifndef TESTS_UNIT_IR_FILES_H
#define TESTS_UNIT_IR_FILES_H

#include <CUnit/CUnit.h>

/* Add a case named after each *.ir in tests/FOLDER, in alphabetical order; it asks ir_files_path for its own. */
void ir_files_add(CU_pSuite suite, const char *folder, CU_TestFunc test);

/* "TESTS/FOLDER/NAME.ir" of the running case, in out; 'name' as the case is called. */
void ir_files_path(const char *folder, char *out, size_t size);

#endif
