add_library(snapshots_kit STATIC snapshots/kit.c)
target_include_directories(snapshots_kit PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_definitions(snapshots_kit PRIVATE _GNU_SOURCE)
target_link_libraries(snapshots_kit PUBLIC quorate_snapshots quorate_testlib PRIVATE PkgConfig::CMOCKA quorate_warnings)

foreach(test stage)
    quorate_test(snapshots_${test}_test LABEL unit SOURCES snapshots/${test}_test.c LINKS snapshots_kit)
endforeach()
