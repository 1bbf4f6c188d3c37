#include "node/http/line.h"

#include <stdlib.h>

#include "base/plant.h"

void line_init(struct line *l, uv_stream_t *stream)
{
    *l = (struct line){.stream = stream};
    list_init(&l->requests);
}

static void take_out(struct line *l, struct http_request *r)
{
    list_remove(&r->link);
    http_request_free(r);
    l->whole--;
}

/* The stream of R, which is at its end or cut off, is its handler's again. */
static void end_stream(struct http_request *r)
{
    struct http_stream *s = r->stream;

    r->stream = NULL;
    if (s != NULL) {
        s->ended(s);
    }
}

static bool has_more(const struct http_request *r)
{
    return r->stream != NULL && !r->stream->last;
}

/* The network has taken what there is of R's answer. */
static void taken_all(struct line *l, struct http_request *r)
{
    if (has_more(r)) {
        buf_close(&r->answer_head);
        buf_close(&r->answer_body);
        http_request_turn_piece(r, 0);
        r->state = HTTP_STREAMING;
        r->asked = false;
    } else {
        end_stream(r);
        take_out(l, r);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct http_request *r = CAST(struct http_request, write->data, HTTP_REQUEST_MAGIC);
    struct line *l = r->line;

    if (l->cut) {
        http_request_free(r);
        return;
    }
    taken_all(l, r);
    l->sent(l, status < 0);
}

/* Hands R's answer to the network; frees it if all was taken at once. False: the connection is broken. */
static bool send_answer(struct line *l, struct http_request *r)
{
    uv_buf_t parts[2] = {
        uv_buf_init((char *)r->answer_head.data, (unsigned)r->answer_head.len),
        uv_buf_init((char *)r->answer_body.data, (unsigned)r->answer_body.len),
    };
    size_t size = parts[0].len + parts[1].len, taken;
    int n = uv_try_write(l->stream, parts, 2);

    if (n < 0 && n != UV_EAGAIN) {
        return false;
    }
    taken = n > 0 ? (size_t)n : 0;
    l->waiting -= size;
    l->counted(l, size);
    if (taken == size) {
        taken_all(l, r);
        return true;
    }
    for (unsigned i = 0; i < 2; i++) {
        size_t part = taken < parts[i].len ? taken : parts[i].len;
        if (part > 0) { /* an empty body has no bytes to point to */
            parts[i].base += part;
            parts[i].len -= part;
            taken -= part;
        }
    }
    r->state = HTTP_SENDING;
    r->line = l;
    r->write.data = r;
    if (uv_write(&r->write, l->stream, parts, 2, on_written) != 0) {
        r->state = HTTP_ANSWERED; /* no callback will come for it */
        return false;
    }
    return true;
}

static void on_continued(uv_write_t *write, int status)
{
    (void)status; /* if the connection broke, its reader hears of it */
    free(write);
}

static bool send_continue(struct line *l, struct http_request *r)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t part = uv_buf_init(text, sizeof text - 1);
    uv_write_t *write;

    if (!r->expects || r->continued || r->body.len > 0) {
        return true;
    }
    write = malloc(sizeof *write);
    if (write == NULL || uv_write(write, l->stream, &part, 1, on_continued) != 0) {
        free(write);
        return false;
    }
    r->continued = true;
    return true;
}

static bool ask(struct http_request *r)
{
    if (!r->asked) {
        r->asked = true;
        r->stream->wanted(r->stream);
    }
    return true;
}

bool line_flush(struct line *l)
{
    LIST_EACH_SAFE (&l->requests, item) {
        struct http_request *r = CONTAINER_OF(item, struct http_request, link);
        bool more;
        switch (r->state) {
        case HTTP_SENDING:
            if (has_more(r)) {
                return true;
            }
            break;
        case HTTP_STREAMING: return ask(r);
        case HTTP_RECEIVING: return send_continue(l, r);
        case HTTP_UNDER_WAY:
            if (PLANTED("answers_overtake_each_other")) {
                break;
            }
            return true;
        case HTTP_ANSWERED:
            more = has_more(r);
            if (!send_answer(l, r)) {
                return false;
            }
            if (more) {
                return r->state == HTTP_STREAMING ? ask(r) : true;
            }
            break;
        }
    }
    return true;
}

size_t line_unsent(const struct line *l)
{
    return l->waiting + uv_stream_get_write_queue_size(l->stream);
}

void line_cut(struct line *l)
{
    l->cut = true;
    LIST_EACH_SAFE (&l->requests, item) {
        struct http_request *r = CONTAINER_OF(item, struct http_request, link);
        list_remove(item);
        end_stream(r);
        switch (r->state) {
        case HTTP_UNDER_WAY: r->connection = NULL; break; /* its handler frees it by answering */
        case HTTP_SENDING: break;                         /* on_written() frees it */
        case HTTP_STREAMING:
        case HTTP_RECEIVING:
        case HTTP_ANSWERED: http_request_free(r); break;
        }
    }
}
