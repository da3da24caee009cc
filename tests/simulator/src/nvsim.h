/* The command nvsim: verbs share this. */
#ifndef NVSIM_NVSIM_H
#define NVSIM_NVSIM_H
#include "sim.h"

struct verb { const char *name, *args, *help; int (*run)(int argc, char **argv); };

extern const struct verb host_verbs[], gpu_verbs[], show_verbs[], fault_verbs[], answer_verbs[], set_verbs[];
extern struct state *st;        /* the host, locked while a verb runs, physics up to now */
extern const char *state_dir;
extern char home[];             /* tests/simulator: where boards/ and build/ lie */

int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int usage(const char *verb);
int find_gpu(const char *word);         /* slot by index, UUID or PCI address, or -1 with a message */
int number(const char *word, double *out);
int on_off(const char *word, int *out);
int verb_create(int argc, char **argv); /* before there is a state */
void new_boot_id(void);
void name_driver(const char *driver);
int host_add_gpu(const char *spec);
int verb_env(int argc, char **argv);
int verb_watch(int argc, char **argv);  /* takes the lock itself, look by look */

/* json.c: the smallest writer that does; commas come by themselves */
void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_text(const char *key, const char *value);
void json_number(const char *key, double value);
void json_integer(const char *key, long long value);
void json_flag(const char *key, int value);
void json_null(const char *key);
void json_end(void);
void json_settings(const struct gpu *g, const struct settings *s);
#endif
