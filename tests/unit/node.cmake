quorate_test(node_address_test LABEL unit SOURCES node/address_test.c LINKS quorate_node)
foreach(test connect disk lanes net timers writes)
    quorate_test(node_env_${test}_test LABEL unit SOURCES node/env_${test}_test.c LINKS quorate_node)
    # These also run under ThreadSanitizer.
    set_tests_properties(node_env_${test}_test PROPERTIES LABELS "unit;threads")
endforeach()
quorate_test(node_http_server_test LABEL unit
    SOURCES node/http_server_test.c node/http_world.c LINKS quorate_node_http)
