quorate_test(node_address_test LABEL unit SOURCES node/address_test.c LINKS quorate_node)
foreach(name connect disk lanes net timers writes)
    quorate_test(node_env_${name}_test LABEL unit SOURCES node/env_${name}_test.c LINKS quorate_node)
    # These also run under ThreadSanitizer.
    set_tests_properties(node_env_${name}_test PROPERTIES LABELS "unit;threads")
endforeach()
