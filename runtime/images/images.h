/* runtime/images/images.h - data sets from folders of pictures; a library of its own, liblamina_images, which a program
 * links besides liblamina. PNM is always read, PNG where libpng was found, JPEG where libjpeg was. */
#ifndef RUNTIME_IMAGES_H
#define RUNTIME_IMAGES_H

#include "runtime/lamina.h"

typedef enum lamina_resize {
    LAMINA_RESIZE_NONE,     /* a picture of another size than the input's is an error */
    LAMINA_RESIZE_BILINEAR, /* between the four nearest pixels, whose centres lie at halves: (i + 1/2) scale - 1/2 */
    LAMINA_RESIZE_NEAREST   /* pixel floor((i + 1/2) scale) */
} lamina_resize;

typedef struct lamina_image_options {
    const char *pixels; /* the input, uint8 or float32, [rows, columns] or [rows, columns, 1, 3 or 4]; NULL: none */
    const char *label;  /* the integer input of shape [] that gets the class's number; NULL: none */
    /* Is the one path a folder that holds a folder for each class? Otherwise paths are pictures, or folders of them. */
    bool by_class;
    /* The classes' folders in the order of their numbers, others are left out; NULL: all that there are in the folder
     * 'classes_of' (NULL: the path itself), in sorted order, and others are errors. */
    const char *const *classes;
    int32_t class_count;
    const char *classes_of;
    lamina_resize resize;
} lamina_image_options;

/* Fill the inputs with all pictures that lie in the folders and the folders in them, sorted by their bytes, folders
 * behind files; those of a class one after the other. Names count that end in .png .jpg .jpeg .pgm .ppm .pnm, whatever
 * their case, and do not begin with a dot; others are passed over and counted in *skipped, which may be NULL. What a
 * file is, its first bytes say.
 *
 * An input gets values of 0 .. 255. Red, green and blue become grey as 0.299 r + 0.587 g + 0.114 b, rounded; grey gives
 * three equal ones; alpha is left out of inputs without it, and 255 where a picture has none. 16 bits are scaled to 8,
 * palettes are looked up. Gamma, colour profiles and orientation are not applied. CMYK is refused. A JPEG file that is
 * damaged is an error, but superfluous bytes in front of a marker are passed over. lamina_dataset_name says what
 * the classes are called. BAD_FILE and IO name the file. */
lamina_status lamina_dataset_add_images(lamina_dataset *d, const char *const *paths, int32_t count,
                                        const lamina_image_options *o, int64_t *skipped, lamina_error *e);

#endif
