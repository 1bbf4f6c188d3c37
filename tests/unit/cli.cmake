foreach(test args deb822 progress process reply splitter table text)
    quorate_test(cli_${test}_test LABEL unit SOURCES cli/${test}_test.c LINKS quorate_node_cli)
endforeach()
quorate_test(cli_insert_test LABEL unit SOURCES cli/insert_test.c LINKS quorate_node_cli PkgConfig::JANSSON)
foreach(test client loader local view)
    quorate_test(cli_${test}_test LABEL unit SOURCES cli/${test}_test.c cli/fake_node.c LINKS quorate_node_cli Threads::Threads)
endforeach()
# These run the program itself.
foreach(test commands copy import member)
    quorate_test(cli_${test}_test LABEL unit SOURCES cli/${test}_test.c cli/fake_node.c cli/tool.c
        LINKS quorate_base PkgConfig::JANSSON Threads::Threads ARGS $<TARGET_FILE:quorate>)
endforeach()
