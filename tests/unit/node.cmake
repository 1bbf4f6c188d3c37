quorate_test(node_address_test LABEL unit SOURCES node/address_test.c LINKS quorate_node_env)
foreach(test connect disk lanes net timers writes writes_error)
    quorate_test(node_env_${test}_test LABEL unit SOURCES node/env_${test}_test.c LINKS quorate_node_env)
    # These also run under ThreadSanitizer.
    quorate_threaded(node_env_${test}_test)
endforeach()

foreach(test json pragma result_json sql_json)
    quorate_test(node_http_${test}_test LABEL unit SOURCES node/http_${test}_test.c LINKS quorate_node_http m)
endforeach()
foreach(test server limits memory)
    quorate_test(node_http_${test}_test LABEL unit
        SOURCES node/http_${test}_test.c node/http_fixture.c node/http_world.c LINKS quorate_node_http)
endforeach()
# These stand on a replica of their own, whose lanes are threads.
foreach(test cluster kv status sql)
    quorate_test(node_http_${test}_api_test LABEL unit
        SOURCES node/http_${test}_api_test.c node/api_world.c node/fake_replica.c node/http_world.c
        LINKS quorate_node_http)
    quorate_threaded(node_http_${test}_api_test)
endforeach()
quorate_test(node_http_snapshot_api_test LABEL unit
    SOURCES node/http_snapshot_api_test.c node/api_world.c node/fake_replica.c node/http_world.c
    LINKS quorate_node_http quorate_node_env quorate_snapshots)
quorate_threaded(node_http_snapshot_api_test)
foreach(test dump load)
    quorate_test(node_http_${test}_api_test LABEL unit
        SOURCES node/http_${test}_api_test.c node/api_world.c node/fake_replica.c node/http_world.c
        LINKS quorate_node_http quorate_node_env quorate_snapshots PkgConfig::ZLIB)
endforeach()
foreach(test joining options settings)
    quorate_test(node_${test}_test LABEL unit SOURCES node/${test}_test.c LINKS quorate_node)
endforeach()
quorate_test(node_birth_test LABEL unit SOURCES node/birth_test.c LINKS quorate_node quorate_testlib)

# The library, with threads of its own and of its callers.
quorate_test(node_door_test LABEL unit SOURCES node/door_test.c LINKS quorate_node)
foreach(test library library_join library_life library_members library_threads)
    quorate_test(node_${test}_test LABEL unit SOURCES node/${test}_test.c node/embedded.c LINKS quorate_node m)
endforeach()
foreach(test door library library_join library_life library_members library_threads)
    quorate_threaded(node_${test}_test)
endforeach()
# The public header needs nothing but itself, in C as in C++.
add_test(NAME node_header_c COMMAND ${CMAKE_C_COMPILER} -std=c11 -pedantic-errors -Wall -Wextra -Werror -fsyntax-only
    -x c -include ${CMAKE_SOURCE_DIR}/node/quorate.h /dev/null)
set_tests_properties(node_header_c PROPERTIES LABELS unit)
find_program(CXX_COMPILER NAMES c++ g++ clang++)
if(CXX_COMPILER)
    add_test(NAME node_header_cxx COMMAND ${CXX_COMPILER} -std=c++11 -pedantic-errors -Wall -Wextra -Werror -fsyntax-only
        -x c++ -include ${CMAKE_SOURCE_DIR}/node/quorate.h /dev/null)
    set_tests_properties(node_header_cxx PROPERTIES LABELS unit)
endif()
# The replica is a fake one, the disk a simulated one.
quorate_test(node_backups_test LABEL unit
    SOURCES node/backups_test.c snapshots/backup_kit.c LINKS quorate_node snapshots_kit)
