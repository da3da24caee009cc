/* nvmlDeviceGetFieldValues: many values in one call, each with an answer of its own. */
#include <math.h>
#include <time.h>
#include "call.h"

#define UNKNOWN_FIELD 0xffffffffu

/* The number that drivers from 580.82 on give to what this driver calls `id`: 575 put three counters and two figures of
 * power balancing in front of power smoothing, and 580.82 moved them behind it (constants of nvidia-ml-py). */
static unsigned as_numbered_today(const struct state *s, unsigned id)
{
    static const struct { int driver; unsigned newest; } ages[] = {
        {450, 95}, {460, 145}, {525, 160}, {535, 186}, {550, 196}, {555, 199}, {560, 200}, {570, 229}, {575, 268},
    };
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        if (driver_before(s, ages[i].driver, 0) && id > ages[i].newest)
            return UNKNOWN_FIELD;
    if (driver_before(s, 575, 0) || !driver_before(s, 580, 82))
        return id;
    return id > 273 ? UNKNOWN_FIELD : id >= 256 ? id - 5 : id >= 251 ? id + 18 : id;
}

static nvmlReturn_t counter_value(const struct gpu *g, nvmlFieldValue_t *v, unsigned id)
{
    int k = counter_slot(g, id);
    if (k < 0)
        return ERR_NOT_SUPPORTED;
    v->valueType = TYPE_ULL;
    v->value.ull = (unsigned long long)(g->counter_s[k] * 1e9);
    return OK;
}

static nvmlReturn_t uint_value(nvmlFieldValue_t *v, unsigned value)
{
    v->valueType = TYPE_UINT;
    v->value.ui = value;
    return OK;
}

static nvmlReturn_t int_value(nvmlFieldValue_t *v, int has, int value)
{
    v->valueType = TYPE_INT;
    v->value.si = value;
    return has ? OK : ERR_NOT_SUPPORTED;
}

static nvmlReturn_t ull_value(nvmlFieldValue_t *v, int has, unsigned long long value)
{
    v->valueType = TYPE_ULL;
    v->value.ull = value;
    return has ? OK : ERR_NOT_SUPPORTED;
}

/* Power smoothing: on, its profile, floor in percent, ramp in mW/s. Only a board that was given a ramp has it. */
static nvmlReturn_t smoothing(const struct gpu *g, nvmlFieldValue_t *v, unsigned id)
{
    return g->smoothing_mw_s ? uint_value(v, id == 251 ? 1 : id == 264 ? 0 : id == 265 ? 50 : g->smoothing_mw_s)
                             : ERR_NOT_SUPPORTED;
}

static nvmlReturn_t field(const struct gpu *g, unsigned id, nvmlFieldValue_t *v)
{
    const struct board *b = &g->board;
    switch (id) {
    case UNKNOWN_FIELD:
        return ERR_INVALID_ARGUMENT;
    case 251: case 264: case 265: case 266:
        return smoothing(g, v, id);
    case 1: case 2:
        return b->ecc ? uint_value(v, 1) : ERR_NOT_SUPPORTED;
    case 3: case 4: case 5: case 6:
        return ull_value(v, b->ecc, 0);
    case 74: case 75: case 76: case 77: case 78: case 79: case 80: case 81: case 269: case 270: case 271:
        return counter_value(g, v, id);
    case 82:
        return b->memory_temp ? uint_value(v, (unsigned)floor(g->temp_c + 4)) : ERR_NOT_SUPPORTED;
    case 83: case 191:
        return ull_value(v, b->energy, (unsigned long long)g->energy_mj);
    case 94:
        return uint_value(v, (unsigned)g->replays);
    case 95:
        return uint_value(v, 0);
    case 169: case 173: case 174: case 175: case 176: case 177: case 178: case 179: case 180: case 181: case 182:
    case 183: case 228: case 229:
        return uint_value(v, 0);
    case 197: case 198:
        return ull_value(v, 1, 0);
    case 184: case 199:
        return b->mig ? uint_value(v, 1) : ERR_NOT_SUPPORTED;
    case 274: case 289: case 290: case 291: case 292: case 293: case 296: case 297: case 298: case 299: case 300:
        return ERR_INVALID_ARGUMENT;    /* newer than the recorded driver */
    case 142: case 143: case 144: case 145: case 301: case 302:
        return b->ecc ? uint_value(v, 0) : ERR_NOT_SUPPORTED;
    case 185:
        return b->power_average ? uint_value(v, (unsigned)(g->ring_sum / POWER_RING * 1000)) : ERR_NOT_SUPPORTED;
    case 186:
        return uint_value(v, (unsigned)(g->power_w * 1000));
    case 187:
        return uint_value(v, b->power_min_mw);
    case 188:
        return uint_value(v, b->power_max_mw);
    case 189:
        return uint_value(v, b->power_default_mw);
    case 190:
        return uint_value(v, enforced_mw(g));
    case 192:
        return uint_value(v, g->set.power_mw);
    case 193:
        return int_value(v, b->tlimit, (int)b->t_gpu_max - (int)b->t_shutdown);
    case 194:
        return int_value(v, b->tlimit, (int)b->t_gpu_max - (int)b->t_slowdown);
    case 195:
        return int_value(v, b->tlimit && b->memory_temp, 0);
    case 196:
        return int_value(v, b->tlimit, 0);
    case 226: case 227:
        return uint_value(v, 0);
    case 230:
        return uint_value(v, g->recovery_action);
    default:
        return id > 302 ? ERR_INVALID_ARGUMENT : ERR_NOT_SUPPORTED;
    }
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    /* The recorded cost of a batch is the sum over its fields; it is taken before the state is locked. */
    int slot = lib_ready() ? handle_slot(device) : -1;
    if (slot >= 0 && values && count > 0 && !lib_state->gpus[slot].board.recorded)
        for (int i = 0; i < count; i++)
            call_cost(lib_state, NULL, values[i].fieldId);
    DEVICE_CALL(c, device);
    REFUSE(c, !values || count <= 0, ERR_INVALID_ARGUMENT);
    int64_t now_us = now_ns(CLOCK_REALTIME) / 1000;
    for (int i = 0; i < count; i++) {
        nvmlFieldValue_t *v = &values[i];
        v->timestamp = now_us;
        v->latencyUsec = 1;
        v->nvmlReturn = OK;
        if (!answered_field(&c, v))
            v->nvmlReturn = field(c.g, as_numbered_today(c.s, v->fieldId), v);
    }
    return call_leave(&c, OK);
}
