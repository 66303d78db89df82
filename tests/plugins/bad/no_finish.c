/* A function that is required is missing. */
#include "bad.h"

BAD_PLUGIN("bad", 0, bad_create, bad_process, NULL, NULL, NULL);
