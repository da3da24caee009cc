/* Answers as a real board gave them, word by word: what gpu-tunedctl probe writes, and `nvsim override`. */
#ifndef NVSIM_ANSWERS_H
#define NVSIM_ANSWERS_H
#include <stdarg.h>
#include "sim.h"

#define MAX_WORDS 8

/* One argument after the device: `kind` as in the table of answers.c. */
struct word { char kind; unsigned long long value; unsigned char *bytes, *before; unsigned len, before_len; };
struct answer { char call[CALL_NAME]; nvmlReturn_t code; unsigned us; int n; struct word word[MAX_WORDS]; };
struct field_answer { unsigned field, scope; nvmlReturn_t code; unsigned us; int type; nvmlValue_t value; };

struct recording {
    char driver[32], nvml[32];
    int cuda;
    unsigned pci_device_id, pci_subsystem_id;
    nvmlReturn_t otherwise;
    int n_calls, n_fields;
    struct answer *calls;
    struct field_answer *fields;
};

int answer_parse(const char *text, struct answer *out);
void answer_free(struct answer *a);
int answer_gives(const struct answer *a, va_list args, nvmlReturn_t *r);
struct recording *recording_read(const char *path, char *why, size_t whylen);
void recording_free(struct recording *r);
const struct answer *recorded(const struct recording *r, const char *call, int value);
unsigned recorded_uint(const struct recording *r, const char *call, int value, int which, unsigned without);
const char *recorded_text(const struct recording *r, const char *call);
const struct field_answer *recorded_field(const struct recording *r, unsigned field, unsigned scope);

/* recorded_board.c */
int is_recording(const char *path);
void board_from_recording(const struct recording *r, struct board *b);
void gpu_as_recorded(const struct recording *r, struct gpu *g);
#endif
