/* The part of NVML's binary interface that the simulated driver answers to.
 * Layouts and numbers as pynvml (nvidia-ml-py 13.615.71) passes them. */
#ifndef NVSIM_ABI_H
#define NVSIM_ABI_H
#include <stdint.h>

typedef int nvmlReturn_t;
typedef void *nvmlDevice_t;
typedef void *nvmlEventSet_t;

enum {
    OK = 0,
    ERR_UNINITIALIZED = 1,
    ERR_INVALID_ARGUMENT = 2,
    ERR_NOT_SUPPORTED = 3,
    ERR_NO_PERMISSION = 4,
    ERR_NOT_FOUND = 6,
    ERR_INSUFFICIENT_SIZE = 7,
    ERR_DRIVER_NOT_LOADED = 9,
    ERR_TIMEOUT = 10,
    ERR_FUNCTION_NOT_FOUND = 13,
    ERR_GPU_IS_LOST = 15,
    ERR_LIB_RM_VERSION_MISMATCH = 18,
    ERR_IN_USE = 19,
    ERR_MEMORY = 20,
    ERR_ARGUMENT_VERSION_MISMATCH = 25,
    ERR_DEPRECATED = 26,
    ERR_UNKNOWN = 999,
};

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEM, CLOCK_VIDEO, CLOCK_COUNT };
enum { COMPUTE_DEFAULT = 0, COMPUTE_EXCLUSIVE_THREAD = 1, COMPUTE_PROHIBITED = 2, COMPUTE_EXCLUSIVE_PROCESS = 3 };

#define CLOCK_LIMIT_ID_TDP 0xffffff01u
#define CLOCK_LIMIT_ID_UNLIMITED 0xffffff02u
#define INIT_FLAG_NO_GPUS 1u
#define INIT_FLAG_NO_ATTACH 2u

#define EVENT_PSTATE 0x4ull
#define EVENT_XID 0x8ull
#define EVENT_CLOCK 0x10ull
#define EVENT_MIG 0x100ull
#define EVENT_GPU_UNAVAILABLE 0x4000ull
#define EVENT_RECOVERY_ACTION 0x8000ull
#define SYSTEM_EVENT_UNBIND 1ull
#define SYSTEM_EVENT_BIND 2ull

#define REASON_IDLE 0x1u
#define REASON_SW_POWER_CAP 0x4u
#define REASON_HW_SLOWDOWN 0x8u
#define REASON_SYNC_BOOST 0x10u
#define REASON_SW_THERMAL 0x20u
#define REASON_HW_THERMAL 0x40u
#define REASON_HW_BRAKE 0x80u
#define REASON_BOARD_LIMIT 0x200u
#define REASON_RELIABILITY 0x400u

typedef struct {
    char busIdLegacy[16];
    unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef union {
    double d;
    unsigned ui;
    unsigned long ul;
    unsigned long long ull;
    long long sll;
    int si;
    unsigned short us;
} nvmlValue_t;

enum { TYPE_DOUBLE, TYPE_UINT, TYPE_ULONG, TYPE_ULL, TYPE_SLL, TYPE_INT };

typedef struct {
    uint32_t fieldId, scopeId;
    int64_t timestamp, latencyUsec;
    int valueType;
    nvmlReturn_t nvmlReturn;
    nvmlValue_t value;
} nvmlFieldValue_t;

typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } nvmlMemory_v2_t;
typedef struct { unsigned long long total, free, used; } nvmlBAR1Memory_t;
typedef struct { unsigned gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned pid; unsigned long long usedGpuMemory; unsigned gpuInstanceId, computeInstanceId; } nvmlProcessInfo_t;
typedef struct { unsigned long long referenceTime, violationTime; } nvmlViolationTime_t;
typedef struct { unsigned version, sensorType; int temperature; } nvmlTemperature_t;
typedef struct { unsigned version; int marginTemperature; } nvmlMarginTemperature_t;
typedef struct { nvmlDevice_t device; unsigned long long eventType, eventData; unsigned gpuInstanceId, computeInstanceId; } nvmlEventData_t;
typedef struct { unsigned version; void *set; } nvmlSystemEventSetRequest_t;
typedef struct { unsigned version; unsigned long long eventTypes; void *set; } nvmlSystemRegisterRequest_t;
typedef struct { unsigned long long eventType; unsigned gpuId; } nvmlSystemEventData_t;
typedef struct {
    unsigned version, timeoutms;
    void *set;
    nvmlSystemEventData_t *data;
    unsigned dataSize, numEvent;
} nvmlSystemEventSetWaitRequest_t;

#define EXPORT __attribute__((visibility("default")))
#endif
