quorate_test(node_http_server_test LABEL unit SOURCES node/http_server_test.c node/http_world.c LINKS quorate_node_http)
