quorate_test(node_http_server_test LABEL unit SOURCES node/http_server_test.c node/http_world.c LINKS quorate_node_http)
quorate_test(node_http_json_test LABEL unit SOURCES node/http_json_test.c LINKS quorate_node_http m)
quorate_test(node_http_sql_json_test LABEL unit SOURCES node/http_sql_json_test.c LINKS quorate_node_http)
quorate_test(node_http_result_json_test LABEL unit SOURCES node/http_result_json_test.c LINKS quorate_node_http m)
