/* Entry points that the model has nothing to say to: a board made from a recording answers them as it was recorded, on
 * others they are not found, as in a driver that lacks them. */
#include "call.h"

#define ONLY_RECORDED(name)                                                       \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, uintptr_t a, uintptr_t b, uintptr_t d, uintptr_t e, uintptr_t f) \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, a, b, d, e, f);                                               \
        return call_leave(&c, ERR_FUNCTION_NOT_FOUND);                            \
    }

ONLY_RECORDED(nvmlDeviceGetModuleId)
