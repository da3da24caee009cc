/* Before a call is answered by the model: what stands in its place, from `nvsim override` or a real board's recording. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "answers.h"
#include "call.h"

static struct recording *recordings[MAX_GPUS];

/* What moves: as recorded while the board rests as it did then, by the model from the first load, write or knob on. */
static const char *const moving =
    " nvmlDeviceGetPersistenceMode nvmlDeviceGetComputeMode nvmlDeviceGetPowerManagementLimit"
    " nvmlDeviceGetEnforcedPowerLimit nvmlDeviceGetPowerUsage nvmlDeviceGetTotalEnergyConsumption"
    " nvmlDeviceGetPerformanceState nvmlDeviceGetPowerState nvmlDeviceGetCurrentClocksEventReasons"
    " nvmlDeviceGetCurrentClocksThrottleReasons nvmlDeviceGetTemperature nvmlDeviceGetTemperatureV"
    " nvmlDeviceGetMarginTemperature nvmlDeviceGetViolationStatus nvmlDeviceGetClockInfo"
    " nvmlDeviceGetApplicationsClock nvmlDeviceGetClock nvmlDeviceGetUtilizationRates nvmlDeviceGetMemoryInfo"
    " nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetCurrPcieLinkGeneration nvmlDeviceGetCurrPcieLinkWidth"
    " nvmlDeviceGetPcieSpeed nvmlDeviceGetPcieThroughput nvmlDeviceGetPcieReplayCounter nvmlDeviceGetMigMode"
    " nvmlDeviceGetFanSpeed ";
static const char *const ladders =
    " nvmlDeviceGetSupportedGraphicsClocks nvmlDeviceGetMaxClockInfo nvmlDeviceGetMaxCustomerBoostClock"
    " nvmlDeviceGetMinMaxClockOfPState nvmlDeviceGetClockOffsets nvmlDeviceGetGpcClkVfOffset ";

static int among(const char *names, const char *name)
{
    char word[CALL_NAME + 2];
    snprintf(word, sizeof word, " %s ", name);
    return strstr(names, word) != NULL;
}

static int moves(const struct gpu *g, const char *name)
{
    return (g->touched && among(moving, name)) || (g->offset_mhz && among(ladders, name));
}

static int field_moves(const struct gpu *g, unsigned f)
{
    return g->touched && ((f >= 74 && f <= 83) || f == 94 || (f >= 185 && f <= 192) || f == 230 || (f >= 269 && f <= 271)
                          || (f >= 251 && f <= 253));
}

static const struct recording *recording_of(const struct call *c)
{
    char path[PATH_MAX], why[256];
    if (c->slot < 0 || !c->s->gpus[c->slot].board.recorded)
        return NULL;
    if (!recordings[c->slot]) {
        snprintf(path, sizeof path, "%s/recording.%d", nvsim_dir, c->slot);
        recordings[c->slot] = recording_read(path, why, sizeof why);
    }
    return recordings[c->slot];
}

/* Another host: its GPUs have recordings of their own. */
void answers_forget(void)
{
    for (int i = 0; i < MAX_GPUS; i++) {
        recording_free(recordings[i]);
        recordings[i] = NULL;
    }
}

static int overridden(struct call *c, const char *name, nvmlReturn_t *r, va_list args)
{
    for (int i = 0; i < c->s->n_overrides; i++) {
        const struct override *o = &c->s->overrides[i];
        struct answer a;
        va_list mine;
        if (o->slot != c->slot || strcmp(o->call, name) != 0 || !answer_parse(o->text, &a))
            continue;
        va_copy(mine, args);
        int given = answer_gives(&a, mine, r);
        va_end(mine);
        answer_free(&a);
        if (given)
            return 1;
    }
    return 0;
}

int answered(struct call *c, const char *name, nvmlReturn_t *r, ...)
{
    va_list args;
    va_start(args, r);
    int given = c->s->n_overrides && overridden(c, name, r, args);
    const struct recording *rec = given ? NULL : recording_of(c);
    if (rec) {
        for (int i = 0; i < rec->n_calls && !given && !moves(c->g, name); i++) {
            va_list mine;
            if (strcmp(rec->calls[i].call, name) != 0)
                continue;
            va_copy(mine, args);
            given = answer_gives(&rec->calls[i], mine, r);
            va_end(mine);
            if (given && c->s->costs_on)
                spin_us(rec->calls[i].us);
        }
        if (!given && rec->otherwise && !among(" nvmlDeviceGetUUID nvmlDeviceGetIndex ", name)) {
            *r = rec->otherwise;
            given = 1;
        }
    }
    va_end(args);
    return given;
}

int answered_field(struct call *c, nvmlFieldValue_t *v)
{
    for (int i = 0; i < c->s->n_field_overrides; i++) {
        const struct field_override *o = &c->s->field_overrides[i];
        if (o->slot == c->slot && (o->field == v->fieldId || o->field == ALL_FIELDS)) {
            v->valueType = o->type;
            v->value = o->value;
            v->nvmlReturn = o->code;
            return 1;
        }
    }
    const struct recording *rec = recording_of(c);
    if (!rec || (field_moves(c->g, v->fieldId) && !rec->otherwise))
        return 0;
    const struct field_answer *f = recorded_field(rec, v->fieldId, v->scopeId);
    if (!f && !rec->otherwise)
        return 0;
    v->nvmlReturn = f ? f->code : rec->otherwise;
    if (f) {
        v->valueType = f->type;
        v->value = f->value;
        if (c->s->costs_on)
            spin_us(f->us);
    }
    return 1;
}
