# Compiler settings, dependencies and the few functions that every folder's CMakeLists.txt uses.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Asserts stay on in every build: a stopped replica is better than a wrong one.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(QUORATE_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
option(QUORATE_WERROR "Treat warnings as errors" OFF)
option(QUORATE_PLANTS "Build in the bugs of base/plant.h, switched off: for tests only" OFF)

add_library(quorate_warnings INTERFACE)
target_compile_options(quorate_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wimplicit-fallthrough -Wvla -Wformat=2 -Wundef)
if(QUORATE_WERROR)
    target_compile_options(quorate_warnings INTERFACE -Werror)
endif()
if(QUORATE_SANITIZE)
    add_compile_options(-fsanitize=${QUORATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${QUORATE_SANITIZE})
endif()

option(QUORATE_FUZZ "Build the fuzzers of tests/fuzz with libFuzzer; needs clang" OFF)
if(QUORATE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link -w) # clang warns of other things than gcc, whose build is the one without
endif()

if(QUORATE_PLANTS)
    add_compile_definitions(QUORATE_PLANTS)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4>=1.9)
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft>=0.22.1)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.13)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)

# quorate_folder(NAME SOURCES ... LINKS ... [PRIVATE ...])
#
# A static library quorate_NAME of this folder. Headers are included as "NAME/header.h", and only from folders that
# are linked: the include path of a target holds one link to its own folder and nothing else, so an upward include
# does not compile. LINKS are folders and libraries that the folder's own headers need; PRIVATE only its sources.
# A NAME with a slash is a folder in a folder: node/http becomes quorate_node_http, and does not see node.
function(quorate_folder path)
    cmake_parse_arguments(arg "" "" "SOURCES;LINKS;PRIVATE" ${ARGN})
    string(REPLACE "/" "_" name ${path})
    set(headers ${CMAKE_BINARY_DIR}/headers/${name})
    cmake_path(GET path PARENT_PATH parent)
    file(MAKE_DIRECTORY ${headers}/${parent})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${headers}/${path} SYMBOLIC)
    add_library(quorate_${name} STATIC ${arg_SOURCES})
    target_include_directories(quorate_${name} PUBLIC ${headers})
    target_compile_definitions(quorate_${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(quorate_${name} PUBLIC ${arg_LINKS} PRIVATE quorate_warnings ${arg_PRIVATE})
endfunction()

# quorate_test(NAME LABEL unit SOURCES ... LINKS ... [TIMEOUT seconds] [ARGS ...])
#
# A cmocka executable and its CTest entry. Tests are independent of each other and of fixed ports or paths.
function(quorate_test name)
    cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LINKS;ARGS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(${name} PRIVATE ${arg_LINKS} quorate_warnings PkgConfig::CMOCKA)
    add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
    if(QUORATE_SANITIZE STREQUAL "thread")
        set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.suppressions)
    endif()
endfunction()
