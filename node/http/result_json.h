/* result_json: the results of SQL statements (storage/result.h) as the JSON that rqlite's clients read. It
 * does not know the frame around the list, nor HTTP.
 *
 * An entry has only the keys that say something: {} for a statement that changed nothing, no "values" where
 * there are no rows. A write gives last_insert_id and rows_affected; a read columns, types and values; a
 * failure error. With `associative` a read gives types and rows, each keyed by column name in byte order (of
 * columns with one name the last counts), and a write has "rows":null.
 *
 * The type of a column is its declared type in lower case; where none is declared, that of the first row's
 * value, "" if that is NULL or there is no row. The type also rules how values look: a boolean integer is
 * true or false; date, datetime and timestamp are RFC 3339 (timestamp.h); a blob is base64 (or with
 * `blob_array` an array of numbers), but in a text-like or untyped column a plain string. */
#ifndef QUORATE_NODE_HTTP_RESULT_JSON_H
#define QUORATE_NODE_HTTP_RESULT_JSON_H

#include "node/http/json.h"
#include "storage/result.h"

struct result_json_options {
    bool timings, associative, blob_array;
};

/* Writes the array of entries that the body of a RESULT_SQL holds. Any lane. Errors: Q_CORRUPT (the bytes do
 * not follow the format), Q_NOMEM; what was written so far is of no use then. */
int result_json_write(struct json *j, struct cursor body, const struct result_json_options *options,
                      struct error *e);

#endif
