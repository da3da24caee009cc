/* The words of a recorded answer, one for each argument after the device:
 *
 *   =N         a value handed in: only a call with this value is meant
 *   ~N         room for a text, handed in: never compared
 *   "TEXT      a text handed out, blanks and controls as %20
 *   >HEX       a number handed out, as it lies in memory
 *   @N         how many: room handed in, number handed out; too little room answers 7
 *   [HEX       the list that goes with it
 *   {HEX:HEX   a structure before and after; nothing before the colon: any
 *   -          a null pointer
 *
 * In HEX, (12) stands for twelve bytes of zero. A line of a recording is
 *
 *   call = NAME CODE MICROSECONDS WORD...
 *   field = ID SCOPE CODE MICROSECONDS TYPE HEX
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "answers.h"

static int hex_digit(int c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* Returns what follows, or NULL. */
static const char *hex(const char *p, unsigned char **bytes, unsigned *len)
{
    unsigned n = 0, room = 64;
    unsigned char *b = malloc(room);
    while (*p && *p != ':') {
        unsigned more = 1, value = 0;
        if (*p == '(') {
            more = (unsigned)strtoul(p + 1, (char **)&p, 10);
            if (*p++ != ')' || more > 1u << 20)
                more = 0;
        } else if (hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0)
            value = (unsigned)(hex_digit(p[0]) << 4 | hex_digit(p[1])), p += 2;
        else
            more = 0;
        if (!more) {
            free(b);
            return NULL;
        }
        while (n + more > room)
            b = realloc(b, room *= 2);
        memset(b + n, (int)value, more);
        n += more;
    }
    *bytes = b;
    *len = n;
    return p;
}

static int word_parse(const char *text, struct word *w)
{
    char *end = "";
    memset(w, 0, sizeof *w);
    w->kind = text[0];
    switch (text[0]) {
    case '=': case '~': case '@':
        w->value = strtoull(text + 1, &end, 0);
        return text[1] && !*end;
    case '-':
        return !text[1];
    case '"': {
        unsigned n = 0;
        w->bytes = malloc(strlen(text));
        for (const char *p = text + 1; *p; n++) {
            int escaped = p[0] == '%' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0;
            w->bytes[n] = escaped ? (unsigned char)(hex_digit(p[1]) << 4 | hex_digit(p[2])) : (unsigned char)*p;
            p += escaped ? 3 : 1;
        }
        w->bytes[n] = 0;
        w->len = n + 1;
        return 1;
    }
    case '>': case '[':
        end = (char *)hex(text + 1, &w->bytes, &w->len);
        return end && !*end;
    case '{':
        end = (char *)hex(text + 1, &w->before, &w->before_len);
        if (!end || *end != ':')
            return 0;
        end = (char *)hex(end + 1, &w->bytes, &w->len);
        return end && !*end && (!w->before_len || w->before_len == w->len);
    default:
        return 0;
    }
}

int answer_parse(const char *text, struct answer *out)
{
    char *copy = strdup(text), *save = NULL, *end = "";
    int good = 1;
    memset(out, 0, sizeof *out);
    char *name = strtok_r(copy, " \n", &save), *code = name ? strtok_r(NULL, " \n", &save) : NULL;
    char *us = code ? strtok_r(NULL, " \n", &save) : NULL;
    if (!us)
        good = 0;
    else {
        snprintf(out->call, sizeof out->call, "%s", name);
        out->code = (nvmlReturn_t)strtol(code, &end, 10);
        good = !*end;
        out->us = (unsigned)strtoul(us, &end, 10);
        good = good && !*end;
    }
    for (char *w; good && (w = strtok_r(NULL, " \n", &save));)
        good = out->n < MAX_WORDS && word_parse(w, &out->word[out->n++]);
    free(copy);
    if (!good)
        answer_free(out);
    return good;
}

void answer_free(struct answer *a)
{
    for (int i = 0; i < a->n; i++) {
        free(a->word[i].bytes);
        free(a->word[i].before);
    }
    a->n = 0;
}

/* Whether this answer is the one to a call with these arguments; gives it then. */
int answer_gives(const struct answer *a, va_list args, nvmlReturn_t *r)
{
    void *pointer[MAX_WORDS] = {0};
    int short_of = 0;
    for (int i = 0; i < a->n; i++) {
        const struct word *w = &a->word[i];
        if (w->kind == '=' || w->kind == '~') {
            if (w->kind == '=' && va_arg(args, unsigned) != (unsigned)w->value)
                return 0;
            if (w->kind == '~')
                (void)va_arg(args, unsigned);
            continue;
        }
        pointer[i] = va_arg(args, void *);
        if (w->kind == '{' && w->before_len && (!pointer[i] || memcmp(pointer[i], w->before, w->before_len) != 0))
            return 0;
        if (w->kind == '@' && pointer[i])
            short_of = *(unsigned *)pointer[i] < w->value;
        if (w->kind == '[' && !pointer[i] && w->len)
            short_of = 1;
    }
    for (int i = 0; i < a->n; i++) {
        const struct word *w = &a->word[i];
        if (!pointer[i])
            continue;
        if (w->kind == '@')
            *(unsigned *)pointer[i] = (unsigned)w->value;
        else if (w->bytes && !(w->kind == '[' && short_of))
            memcpy(pointer[i], w->bytes, w->len);
    }
    *r = short_of && a->code == OK ? ERR_INSUFFICIENT_SIZE : a->code;
    return 1;
}

static int field_parse(const char *text, struct field_answer *f)
{
    char digits[32] = "";
    unsigned char *bytes = NULL;
    unsigned len = 0;
    memset(f, 0, sizeof *f);
    int n = sscanf(text, "%u %u %d %u %d %31s", &f->field, &f->scope, &f->code, &f->us, &f->type, digits);
    if (n < 5 || (n == 6 && (!hex(digits, &bytes, &len) || len > sizeof f->value))) {
        free(bytes);
        return 0;
    }
    if (len)
        memcpy(&f->value, bytes, len);
    free(bytes);
    return 1;
}

static int line_parse(struct recording *r, const char *key, const char *value)
{
    if (strcmp(key, "call") == 0) {
        r->calls = realloc(r->calls, sizeof *r->calls * (size_t)(r->n_calls + 1));
        return answer_parse(value, &r->calls[r->n_calls++]);
    }
    if (strcmp(key, "field") == 0) {
        r->fields = realloc(r->fields, sizeof *r->fields * (size_t)(r->n_fields + 1));
        return field_parse(value, &r->fields[r->n_fields++]);
    }
    if (strcmp(key, "driver") == 0)
        return snprintf(r->driver, sizeof r->driver, "%s", value) > 0;
    if (strcmp(key, "nvml") == 0)
        return snprintf(r->nvml, sizeof r->nvml, "%s", value) > 0;
    if (strcmp(key, "pci_device_id") == 0)
        return sscanf(value, "%x", &r->pci_device_id) == 1;
    if (strcmp(key, "pci_subsystem_id") == 0)
        return sscanf(value, "%x", &r->pci_subsystem_id) == 1;
    if (strcmp(key, "cuda") == 0)
        return sscanf(value, "%d", &r->cuda) == 1;
    if (strcmp(key, "otherwise") == 0)
        return sscanf(value, "%d", &r->otherwise) == 1;
    return strcmp(key, "probe") == 0 && strcmp(value, "1") == 0;
}

struct recording *recording_read(const char *path, char *why, size_t whylen)
{
    struct recording *r = calloc(1, sizeof *r);
    char *line = NULL;
    size_t room = 0;
    int number = 0, good = 1;
    FILE *f = fopen(path, "re");
    if (!f)
        snprintf(why, whylen, "%s: cannot read", path);
    while (f && good && getline(&line, &room, f) > 0) {
        number++;
        line[strcspn(line, "#\n")] = 0;
        char *eq = strstr(line, " = ");
        if (!*line || strspn(line, " \t") == strlen(line))
            continue;
        good = eq != NULL;
        if (eq) {
            *eq = 0;
            for (char *e = eq + 3 + strlen(eq + 3); e > eq + 3 && isspace((unsigned char)e[-1]);)
                *--e = 0;
            good = line_parse(r, line, eq + 3);
        }
        if (!good)
            snprintf(why, whylen, "%s:%d: cannot use \"%s\"", path, number, line);
    }
    free(line);
    if (f)
        fclose(f);
    if (f && good)
        return r;
    recording_free(r);
    return NULL;
}

void recording_free(struct recording *r)
{
    for (int i = 0; r && i < r->n_calls; i++)
        answer_free(&r->calls[i]);
    if (r) {
        free(r->calls);
        free(r->fields);
    }
    free(r);
}

/* The answer to a call whose first argument is `value`; a negative one: whatever it is. */
const struct answer *recorded(const struct recording *r, const char *call, int value)
{
    for (int i = 0; i < r->n_calls; i++) {
        const struct answer *a = &r->calls[i];
        if (strcmp(a->call, call) == 0 && (value < 0 || (a->n && a->word[0].kind == '=' && a->word[0].value == (unsigned)value)))
            return a;
    }
    return NULL;
}

/* The `which`-th number handed out, from 0; `without` where the call was not answered. */
unsigned recorded_uint(const struct recording *r, const char *call, int value, int which, unsigned without)
{
    const struct answer *a = recorded(r, call, value);
    unsigned out = without;
    for (int i = 0; a && a->code == OK && i < a->n; i++)
        if (a->word[i].kind == '>' && which-- == 0 && a->word[i].len >= sizeof out)
            memcpy(&out, a->word[i].bytes, sizeof out);
    return out;
}

const char *recorded_text(const struct recording *r, const char *call)
{
    const struct answer *a = recorded(r, call, -1);
    return a && a->code == OK && a->n && a->word[0].kind == '"' ? (const char *)a->word[0].bytes : "";
}

const struct field_answer *recorded_field(const struct recording *r, unsigned field, unsigned scope)
{
    for (int i = 0; i < r->n_fields; i++)
        if (r->fields[i].field == field && r->fields[i].scope == scope)
            return &r->fields[i];
    return NULL;
}
