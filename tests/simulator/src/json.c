#include <math.h>
#include "nvsim.h"

static int first = 1;

static void begin(const char *key)
{
    if (!first)
        putchar(',');
    first = 0;
    if (key)
        printf("\"%s\":", key);
}

void json_open(const char *key, char bracket)
{
    begin(key);
    putchar(bracket);
    first = 1;
}

void json_close(char bracket)
{
    putchar(bracket);
    first = 0;
}

void json_text(const char *key, const char *value)
{
    begin(key);
    putchar('"');
    for (; *value; value++)
        if (*value == '"' || *value == '\\')
            printf("\\%c", *value);
        else if ((unsigned char)*value < 0x20)
            printf("\\u%04x", *value);
        else
            putchar(*value);
    putchar('"');
}

void json_number(const char *key, double value)
{
    begin(key);
    printf("%.6f", isfinite(value) ? value : 0.0);
}

void json_integer(const char *key, long long value)
{
    begin(key);
    printf("%lld", value);
}

void json_flag(const char *key, int value)
{
    begin(key);
    printf(value ? "true" : "false");
}

void json_null(const char *key)
{
    begin(key);
    printf("null");
}

void json_end(void)
{
    putchar('\n');
    first = 1;
}
