/* Entry points that tell what is there: versions, enumeration, identity of a board. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "call.h"

static nvmlReturn_t copy_text(struct call *c, char *out, unsigned len, const char *text)
{
    REFUSE((*c), !out, ERR_INVALID_ARGUMENT);
    REFUSE((*c), len < strlen(text) + 1, ERR_INSUFFICIENT_SIZE);
    strcpy(out, text);
    return call_leave(c, OK);
}

EXPORT const char *nvmlErrorString(nvmlReturn_t r)
{
    return return_text(r);
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned len)
{
    SYSTEM_CALL(c);
    ANSWERED(c, out, len);
    return copy_text(&c, out, len, c.s->driver);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *out, unsigned len)
{
    SYSTEM_CALL(c);
    ANSWERED(c, out, len);
    return copy_text(&c, out, len, c.s->nvml_version);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    *out = c.s->cuda;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *out)
{
    return nvmlSystemGetCudaDriverVersion(out);
}

EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *out, unsigned len)
{
    SYSTEM_CALL(c);
    ANSWERED(c, pid, out, len);
    char path[64], name[256];
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *f = fopen(path, "re");
    REFUSE(c, !f, ERR_NOT_FOUND);
    if (!fgets(name, sizeof name, f))
        name[0] = 0;
    fclose(f);
    name[strcspn(name, "\n")] = 0;
    return copy_text(&c, out, len, name);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    *out = (unsigned)lib_count();
    return call_leave(&c, OK);
}

static nvmlReturn_t give_handle(struct call *c, int slot, nvmlDevice_t *out)
{
    REFUSE((*c), !out, ERR_INVALID_ARGUMENT);
    REFUSE((*c), attached_gone(c->s, slot), ERR_GPU_IS_LOST);
    *out = slot_handle(slot);
    return call_leave(c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, index, out);
    REFUSE(c, index >= (unsigned)lib_count(), ERR_INVALID_ARGUMENT);
    return give_handle(&c, lib_order((int)index), out);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, uuid, out);
    REFUSE(c, !uuid, ERR_INVALID_ARGUMENT);
    for (int i = 0; i < lib_count(); i++)
        if (strcmp(c.s->gpus[lib_order(i)].uuid, uuid) == 0)
            return give_handle(&c, lib_order(i), out);
    return call_leave(&c, ERR_NOT_FOUND);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus, nvmlDevice_t *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, bus, out);
    unsigned d, b, v, f, d2, b2, v2, f2;
    REFUSE(c, !bus || sscanf(bus, "%x:%x:%x.%x", &d, &b, &v, &f) != 4, ERR_INVALID_ARGUMENT);
    for (int i = 0; i < lib_count(); i++)
        if (sscanf(c.s->gpus[lib_order(i)].pci, "%x:%x:%x.%x", &d2, &b2, &v2, &f2) == 4
            && d == d2 && b == b2 && v == v2 && f == f2)
            return give_handle(&c, lib_order(i), out);
    return call_leave(&c, ERR_NOT_FOUND);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *out)
{
    SYSTEM_CALL(c);
    ANSWERED(c, serial, out);
    for (int i = 0; serial && *serial && i < lib_count(); i++)
        if (strcmp(c.s->gpus[lib_order(i)].board.serial, serial) == 0)
            return give_handle(&c, lib_order(i), out);
    return call_leave(&c, ERR_NOT_FOUND);
}

#define TEXT_GETTER(name, has, text)                                              \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, char *out, unsigned len)        \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, out, len);                                                    \
        REFUSE(c, !(has), ERR_NOT_SUPPORTED);                                     \
        return copy_text(&c, out, len, text);                                     \
    }

TEXT_GETTER(nvmlDeviceGetName, 1, c.g->board.name)
TEXT_GETTER(nvmlDeviceGetUUID, 1, c.g->uuid)
TEXT_GETTER(nvmlDeviceGetSerial, c.g->board.serial[0], c.g->board.serial)
TEXT_GETTER(nvmlDeviceGetVbiosVersion, 1, c.g->board.vbios)
TEXT_GETTER(nvmlDeviceGetBoardPartNumber, c.g->board.part[0], c.g->board.part)
TEXT_GETTER(nvmlDeviceGetInforomImageVersion, 0, "")

EXPORT nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    return copy_text(&c, out, 64, c.s->driver);
}

GETTER(nvmlDeviceGetMinorNumber, unsigned, c.g->minor)
GETTER(nvmlDeviceGetBrand, unsigned, c.g->board.brand)
GETTER(nvmlDeviceGetArchitecture, unsigned, c.g->board.architecture)
GETTER_IF(nvmlDeviceGetNumGpuCores, unsigned, c.g->board.cores, c.g->board.cores)
GETTER_IF(nvmlDeviceGetMemoryBusWidth, unsigned, c.g->board.bus_width, c.g->board.bus_width)
GETTER(nvmlDeviceGetIrqNum, unsigned, 41 + c.g->minor)
GETTER(nvmlDeviceGetMultiGpuBoard, unsigned, 0)
GETTER(nvmlDeviceGetVirtualizationMode, unsigned, 0)
GETTER(nvmlDeviceGetDisplayActive, unsigned, 0)
GETTER(nvmlDeviceGetDisplayMode, unsigned, 0)
GETTER_IF(nvmlDeviceGetNumaNodeId, unsigned, 0, 0)

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    for (int i = 0; i < lib_count(); i++)
        if (lib_order(i) == c.slot)
            *out = (unsigned)i;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, major, minor);
    REFUSE(c, !major || !minor, ERR_INVALID_ARGUMENT);
    *major = (int)c.g->board.cc_major;
    *minor = (int)c.g->board.cc_minor;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    unsigned function;
    memset(out, 0, sizeof *out);
    sscanf(c.g->pci, "%x:%x:%x.%x", &out->domain, &out->bus, &out->device, &function);
    snprintf(out->busIdLegacy, sizeof out->busIdLegacy, "%04X:%02X:%02X.0", out->domain & 0xffff, out->bus & 255, out->device & 255);
    snprintf(out->busId, sizeof out->busId, "%08X:%02X:%02X.0", out->domain, out->bus, out->device);
    if (!c.g->board.pci_device_id) {    /* a Jetson's is on no such bus */
        memset(out, 0, sizeof *out);
        strcpy(out->busIdLegacy, "N/A");
        strcpy(out->busId, "N/A");
    }
    out->pciDeviceId = c.g->board.pci_device_id;
    out->pciSubSystemId = c.g->board.pci_subsystem_id;
    return call_leave(&c, OK);
}
