add_library(storage_kit STATIC storage/faulty_vfs.c storage/kit.c)
target_include_directories(storage_kit PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_definitions(storage_kit PRIVATE _GNU_SOURCE)
target_link_libraries(storage_kit PUBLIC quorate_storage PkgConfig::CMOCKA PRIVATE quorate_warnings)

foreach(test authorizer command batch page_sum result digest digest_state digest_random build)
    quorate_test(storage_${test}_test LABEL unit SOURCES storage/${test}_test.c LINKS quorate_storage)
endforeach()
foreach(test budget store store_commands store_open store_random sql kv readers checkpoint hold members)
    quorate_test(storage_${test}_test LABEL unit SOURCES storage/${test}_test.c LINKS storage_kit)
endforeach()
quorate_test(storage_determinism_test LABEL unit
    SOURCES storage/determinism_test.c LINKS quorate_storage Threads::Threads m)
quorate_test(storage_settle_test LABEL unit SOURCES storage/settle_test.c LINKS quorate_storage quorate_testlib)
