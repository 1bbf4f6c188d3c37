#include "tests/unit/testlib/net_rig.h"

#include "base/buf.h"

static void on_opened(void *owner)
{
    struct end *end = owner;
    assert_int_equal(end->n_heard + end->closed, 0);
    end->opened++;
}

static void on_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct end *end = owner;
    assert_true(n > 0 && end->n_heard + n <= sizeof end->heard);
    assert_int_equal(end->closed, 0);
    memcpy(end->heard + end->n_heard, bytes, n);
    end->n_heard += n;
    end->pieces++;
}

static void on_drained(void *owner)
{
    struct end *end = owner;
    end->drained++;
}

static void on_closed(void *owner, const struct error *why)
{
    struct end *end = owner;
    end->closed++;
    end->conn = NULL;
    end->why = why == NULL ? Q_OK : why->code;
    snprintf(end->why_text, sizeof end->why_text, "%s", why == NULL ? "" : why->text);
}

const struct env_conn_callbacks end_callbacks = {on_opened, on_received, on_drained, on_closed};

void accept_for_pair(void *owner, struct env_conn *conn)
{
    struct pair *p = owner;
    if (p->refuse) {
        env_conn_close(p->env[1], conn);
        return;
    }
    p->server.conn = conn;
    env_conn_accept(p->env[1], conn, &end_callbacks, &p->server);
}

void server_start(struct pair *p)
{
    p->env[1] = p->server.env = sim_node_boot(p->node[1]);
    assert_int_equal(env_listen(p->env[1], "n2:1", accept_for_pair, p, &p->listener, NULL), 0);
}

void client_dial(struct pair *p, const char *address)
{
    p->client.env = p->env[0];
    p->client.conn = env_connect(p->env[0], address, &end_callbacks, &p->client);
}

struct pair *pair_new(uint64_t seed)
{
    struct pair *p = calloc(1, sizeof *p);
    p->sim = sim_new(seed);
    p->node[0] = sim_node_new(p->sim, "n1");
    p->node[1] = sim_node_new(p->sim, "n2");
    p->env[0] = sim_node_boot(p->node[0]);
    server_start(p);
    client_dial(p, "n2:1");
    return p;
}

struct pair *pair_connected(uint64_t seed)
{
    struct pair *p = pair_new(seed);
    sim_run_until(p->sim, 10000);
    assert_int_equal(p->client.opened, 1);
    assert_non_null(p->server.conn);
    return p;
}

void pair_free(struct pair *p)
{
    sim_free(p->sim);
    free(p);
}

void run_for(struct pair *p, uint64_t us)
{
    sim_run_until(p->sim, sim_now_us(p->sim) + us);
}

void send_number(struct end *end, uint64_t number)
{
    uint8_t *bytes = malloc(8);
    put_le64(bytes, number);
    env_send(end->env, end->conn, bytes, 8);
}

uint64_t heard(const struct end *end, size_t i)
{
    return get_le64(end->heard + 8 * i);
}

void assert_heard_in_order(const struct end *end, size_t n)
{
    assert_int_equal(end->n_heard, 8 * n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(heard(end, i), i);
    }
}
