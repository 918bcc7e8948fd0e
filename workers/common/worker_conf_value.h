/* The types of options: texts to values and back to nothing. For worker_conf*.c alone. */
#ifndef WORKER_CONF_VALUE_H
#define WORKER_CONF_VALUE_H

#include "worker_conf.h"

#define ERR_BYTES   512

/* Ends the process when there is no memory: a worker without its configuration has nothing to do. */
void *worker_conf_must(void *memory);
/* Cuts the blanks off, in place. */
char *worker_conf_trim(char *text);

/* Sets (a list: appends to) the value. False: err says what is wrong with the text and what would be right. */
bool worker_conf_convert(const worker_conf_option_t *option, const char *text, void *value, char *err, size_t errlen);
void worker_conf_value_free(const worker_conf_option_t *option, void *value);
size_t worker_conf_value_size(const worker_conf_option_t *option);
bool worker_conf_value_same(const worker_conf_option_t *option, const void *a, const void *b);

#endif
