#include "storage/math_functions.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "storage/sql_error.h"

typedef long double (*function_of_one)(long double);
typedef long double (*function_of_two)(long double, long double);

struct unary {
    const char *name;
    function_of_one call;
};

struct binary {
    const char *name;
    function_of_two call;
};

static const struct unary unary[] = {
    {"acos", acosl},   {"acosh", acoshl}, {"asin", asinl}, {"asinh", asinhl}, {"atan", atanl},
    {"atanh", atanhl}, {"cos", cosl},     {"cosh", coshl}, {"exp", expl},     {"sin", sinl},
    {"sinh", sinhl},   {"tan", tanl},     {"tanh", tanhl},
};

static const struct binary binary[] = {{"atan2", atan2l}, {"pow", powl}, {"power", powl}};

/* These are NULL for what is not positive; log(X) is the one to the base 10. */
static const struct unary logarithm[] = {{"ln", logl}, {"log", log10l}, {"log10", log10l}, {"log2", log2l}};

static bool number(sqlite3_value *value, long double *ret_number)
{
    int type = sqlite3_value_numeric_type(value);

    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return false;
    }
    *ret_number = sqlite3_value_double(value);
    return true;
}

static void sql_unary(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    const struct unary *f = sqlite3_user_data(context);
    long double x;

    (void)n;
    if (number(arguments[0], &x)) {
        sqlite3_result_double(context, (double)f->call(x));
    }
}

static void sql_binary(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    const struct binary *f = sqlite3_user_data(context);
    long double x, y;

    (void)n;
    if (number(arguments[0], &x) && number(arguments[1], &y)) {
        sqlite3_result_double(context, (double)f->call(x, y));
    }
}

static void sql_logarithm(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    const struct unary *f = sqlite3_user_data(context);
    long double x;

    (void)n;
    if (number(arguments[0], &x) && x > 0) {
        sqlite3_result_double(context, (double)f->call(x));
    }
}

/* log(B, X): of X to the base B, which is above 1. */
static void sql_logarithm_to_base(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    long double base, x;

    (void)n;
    if (number(arguments[0], &base) && base > 1 && (x = sqlite3_value_double(arguments[1])) > 0) {
        sqlite3_result_double(context, (double)(logl(x) / logl(base)));
    }
}

static int replace(sqlite3 *db, const char *name, int arguments, const void *data,
                   void (*call)(sqlite3_context *, int, sqlite3_value **))
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;

    return sqlite3_create_function_v2(db, name, arguments, flags, (void *)data, call, NULL, NULL, NULL);
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int math_functions_attach(sqlite3 *db, struct error *e)
{
    int rc = replace(db, "log", 2, NULL, sql_logarithm_to_base);

    for (size_t i = 0; rc == SQLITE_OK && i < COUNT(unary); i++) {
        rc = replace(db, unary[i].name, 1, &unary[i], sql_unary);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < COUNT(binary); i++) {
        rc = replace(db, binary[i].name, 2, &binary[i], sql_binary);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < COUNT(logarithm); i++) {
        rc = replace(db, logarithm[i].name, 1, &logarithm[i], sql_logarithm);
    }
    return rc == SQLITE_OK ? Q_OK : sql_error(db, rc, "replacing functions", e);
}
