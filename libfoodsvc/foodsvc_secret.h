/*
 * What keeps cards and keys from outliving their use in a process's memory, or in a file made of it.
 */
#ifndef FOODSVC_SECRET_H
#define FOODSVC_SECRET_H

#include <stdbool.h>

/*
 * No core of this process or its children, neither as a file nor through a pipe: a limit of one byte stops both (Linux
 * has pipes ignore a limit of 0). False: errno says why not.
 */
bool foodsvc_core_off(void);
/* From now on all that jansson frees is wiped first. For the whole process; before its threads. */
void foodsvc_json_wipe(void);
/* free() of what was malloc'ed, wiped first. NULL is taken. */
void foodsvc_secret_free(void *data);

#endif
