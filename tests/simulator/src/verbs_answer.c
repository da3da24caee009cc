/* Verbs that put an answer in the place of another one: of a call, or of a field. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "answers.h"
#include "nvsim.h"

static int gpu_or_host(const char *word, int *slot)
{
    *slot = THE_HOST;
    return strcmp(word, "host") == 0 || (*slot = find_gpu(word)) >= 0;
}

static void drop_overrides(int slot, const char *call)
{
    int n = 0;
    for (int i = 0; i < st->n_overrides; i++)
        if (st->overrides[i].slot != slot || (call && strcmp(st->overrides[i].call, call) != 0))
            st->overrides[n++] = st->overrides[i];
    __atomic_store_n(&st->n_overrides, n, __ATOMIC_RELEASE);
}

static int verb_override(int argc, char **argv)
{
    int slot;
    if (argc < 2)
        return usage("override");
    if (!gpu_or_host(argv[0], &slot))
        return 1;
    if (strcmp(argv[1], "none") == 0 || (argc == 3 && strcmp(argv[2], "none") == 0)) {
        drop_overrides(slot, argc == 3 ? argv[1] : NULL);
        return 0;
    }
    if (argc < 3)
        return usage("override");
    if (st->n_overrides == MAX_OVERRIDES)
        return fail("at most %d answers can be put in place of others", MAX_OVERRIDES);
    struct override *o = &st->overrides[st->n_overrides];
    o->slot = slot;
    snprintf(o->call, sizeof o->call, "%s", argv[1]);
    int n = snprintf(o->text, sizeof o->text, "%s %s 0", argv[1], argv[2]);
    for (int i = 3; i < argc && n < OVERRIDE_TEXT; i++)
        n += snprintf(o->text + n, sizeof o->text - (size_t)n, " %s", argv[i]);
    struct answer a;
    if (n >= OVERRIDE_TEXT || !answer_parse(o->text, &a))
        return fail("\"%s\" is no answer: CODE and a word for each argument, see src/answers.c", o->text);
    answer_free(&a);
    __atomic_add_fetch(&st->n_overrides, 1, __ATOMIC_RELEASE);
    return 0;
}

/* KIND=NUMBER, error=CODE, or KIND a number of nvmlValueType_t. */
static int field_value(const char *text, struct field_override *o)
{
    static const char *const kinds[] = {"double", "uint", "ulong", "ull", "sll", "int", "ushort"};
    const char *eq = strchr(text, '=');
    char *end;
    if (!eq)
        return 0;
    size_t len = (size_t)(eq - text);
    if (len == 5 && strncmp(text, "error", 5) == 0) {
        o->code = (nvmlReturn_t)strtol(eq + 1, &end, 10);
        return eq[1] && !*end;
    }
    o->type = (int)strtol(text, &end, 10);
    if (end != eq || end == text) {
        for (o->type = 0; o->type < 7; o->type++)
            if (strlen(kinds[o->type]) == len && strncmp(kinds[o->type], text, len) == 0)
                break;
        if (o->type == 7)
            return 0;
    }
    if (o->type == TYPE_DOUBLE)
        o->value.d = strtod(eq + 1, &end);
    else if (eq[1] == '-')
        o->value.sll = strtoll(eq + 1, &end, 0);
    else
        o->value.ull = strtoull(eq + 1, &end, 0);
    return eq[1] && !*end;
}

static int verb_field(int argc, char **argv)
{
    struct field_override o = {0};
    char *end;
    if (argc != 3)
        return usage("field");
    o.slot = find_gpu(argv[0]);
    if (o.slot < 0)
        return 1;
    o.field = strcmp(argv[1], "all") == 0 ? ALL_FIELDS : (unsigned)strtoul(argv[1], &end, 10);
    if (o.field != ALL_FIELDS && *end)
        return fail("\"%s\" is neither a field's number nor \"all\"", argv[1]);
    int none = strcmp(argv[2], "none") == 0, n = 0;
    if (!none && !field_value(argv[2], &o))
        return fail("\"%s\" is no field's value: KIND=NUMBER (double, uint, ulong, ull, sll, int, ushort or a "
                    "number), error=CODE, or none", argv[2]);
    for (int i = 0; i < st->n_field_overrides; i++)
        if (st->field_overrides[i].slot != o.slot || (st->field_overrides[i].field != o.field && o.field != ALL_FIELDS))
            st->field_overrides[n++] = st->field_overrides[i];
    st->n_field_overrides = n;
    if (none)
        return 0;
    if (n == MAX_FIELD_OVERRIDES)
        return fail("at most %d fields can be given another value", MAX_FIELD_OVERRIDES);
    st->field_overrides[st->n_field_overrides++] = o;
    return 0;
}

const struct verb answer_verbs[] = {
    {"field", "GPU ID|all KIND=NUMBER|error=CODE|none", "what that field answers, such as uint=5, double=nan, error=3", verb_field},
    {"override", "GPU|host [CALL] none | CALL CODE WORD...", "what that call answers, in a recording's words (src/answers.c)", verb_override},
    {NULL, NULL, NULL, NULL},
};
