quorate_test(node_address_test LABEL unit SOURCES node/address_test.c LINKS quorate_node_env)
foreach(test connect disk lanes net timers writes)
    quorate_test(node_env_${test}_test LABEL unit SOURCES node/env_${test}_test.c LINKS quorate_node_env)
    # These also run under ThreadSanitizer.
    set_tests_properties(node_env_${test}_test PROPERTIES LABELS "unit;threads")
endforeach()

foreach(test json pragma result_json sql_json)
    quorate_test(node_http_${test}_test LABEL unit SOURCES node/http_${test}_test.c LINKS quorate_node_http m)
endforeach()
foreach(test server limits memory)
    quorate_test(node_http_${test}_test LABEL unit
        SOURCES node/http_${test}_test.c node/http_fixture.c node/http_world.c LINKS quorate_node_http)
endforeach()
# These stand on a replica of their own, whose lanes are threads.
foreach(test kv status sql)
    quorate_test(node_http_${test}_api_test LABEL unit
        SOURCES node/http_${test}_api_test.c node/api_world.c node/fake_replica.c node/http_world.c
        LINKS quorate_node_http)
    set_tests_properties(node_http_${test}_api_test PROPERTIES LABELS "unit;threads")
endforeach()
foreach(test options settings)
    quorate_test(node_${test}_test LABEL unit SOURCES node/${test}_test.c LINKS quorate_node)
endforeach()

# The library, with threads of its own and of its callers.
quorate_test(node_door_test LABEL unit SOURCES node/door_test.c LINKS quorate_node)
quorate_test(node_library_test LABEL unit SOURCES node/library_test.c node/embedded.c LINKS quorate_node m)
foreach(test door library)
    set_tests_properties(node_${test}_test PROPERTIES LABELS "unit;threads")
endforeach()
