#include "node/cli/reply.h"

#include <string.h>

static bool is_name(const char *line, size_t n, const char *name, const char **ret_value, size_t *ret_len)
{
    size_t length = strlen(name);

    if (n <= length || line[length] != ':' || strncasecmp(line, name, length) != 0) {
        return false;
    }
    for (length++; length < n && (line[length] == ' ' || line[length] == '\t'); length++) {
    }
    *ret_value = line + length;
    *ret_len = n - length;
    return true;
}

static bool parse_count(const char *p, size_t n, uint64_t *ret_count)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9' || i == 18) {
            return false;
        }
        count = count * 10 + (uint64_t)(p[i] - '0');
    }
    *ret_count = count;
    return n > 0;
}

/* "HTTP/1.1 200 OK" */
static int parse_status(const char *p, size_t n)
{
    int status = 0;

    if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ' || (n > 12 && p[12] != ' ')) {
        return -1;
    }
    for (unsigned i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }
        status = status * 10 + (p[i] - '0');
    }
    return status >= 100 ? status : -1;
}

struct head {
    bool has_length, chunked;
    uint64_t length;
    struct reply reply;
};

static bool take_line(struct head *head, const char *line, size_t n)
{
    const char *value;
    size_t len;

    if (is_name(line, n, "Content-Length", &value, &len)) {
        head->has_length = true;
        return parse_count(value, len, &head->length);
    }
    if (is_name(line, n, "Transfer-Encoding", &value, &len)) {
        head->chunked = true;
    } else if (is_name(line, n, "Connection", &value, &len)) {
        head->reply.close = len == 5 && strncasecmp(value, "close", 5) == 0;
    } else if (is_name(line, n, "Retry-After", &value, &len)) {
        parse_count(value, len, &head->reply.retry_after_s);
    }
    return true;
}

static int parse_head(const char *p, size_t n, struct head *head, struct error *e)
{
    const char *end = memmem(p, n, "\r\n", 2);

    head->reply.status = parse_status(p, (size_t)(end - p));
    if (head->reply.status < 0) {
        return error_set(e, Q_CORRUPT, "the answer is not HTTP/1.1");
    }
    head->reply.close = p[7] == '0';
    for (const char *line = end + 2; line < p + n; line = end + 2) {
        end = memmem(line, (size_t)(p + n - line), "\r\n", 2);
        if (!take_line(head, line, (size_t)(end - line))) {
            return error_set(e, Q_CORRUPT, "the answer has a malformed Content-Length");
        }
    }
    if (head->reply.status == 204 || head->reply.status == 304 || head->reply.status < 200) {
        head->has_length = true;
        head->length = 0;
    }
    if (head->chunked || !head->has_length) {
        return error_set(e, Q_CORRUPT, "the answer does not say its length");
    }
    return head->length <= REPLY_BODY_MAX
               ? 0
               : error_set(e, Q_TOO_BIG, "the answer is longer than %d bytes", REPLY_BODY_MAX);
}

int reply_parse(const char *p, size_t n, bool *ret_whole, struct reply *ret_reply, struct error *e)
{
    const char *blank = n > 0 ? memmem(p, n < REPLY_HEAD_MAX ? n : REPLY_HEAD_MAX, "\r\n\r\n", 4) : NULL;
    struct head head = {0};
    size_t head_len;
    int rv;

    if (blank == NULL) {
        *ret_whole = false;
        return n < REPLY_HEAD_MAX
                   ? 0
                   : error_set(e, Q_TOO_BIG, "the head of an answer is longer than %d bytes", REPLY_HEAD_MAX);
    }
    head_len = (size_t)(blank - p) + 4;
    rv = parse_head(p, head_len - 2, &head, e);
    if (rv != 0) {
        return rv;
    }
    *ret_whole = n - head_len >= head.length;
    if (*ret_whole) {
        head.reply.body = p + head_len;
        head.reply.len = (size_t)head.length;
        head.reply.total = head_len + head.reply.len;
        *ret_reply = head.reply;
    }
    return 0;
}
