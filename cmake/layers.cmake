# xsan_layer(NAME SOURCES ... [DEPS layer ...] [LIBS target ...])
#   One static library xsan_NAME for src/NAME. It sees the headers of all of src (one include root), but
#   links only the layers in DEPS; a link test pulls in its whole archive with nothing but those, so that
#   a call upwards fails the build, and scripts/tidy.py checks the same list against every #include.
# xsan_unit_test(NAME SOURCES ... THREADED ... LAYERS ... [LIBS target ...])
#   One Catch2 executable per layer, registered with CTest under the label `unit`. THREADED are the sources whose
#   tests run in more than one thread: they alone are built for the thread sanitizer, which finds nothing in the
#   others and makes them some ten times as slow.

add_library(xsan_warnings INTERFACE)
target_compile_options(xsan_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
    -Wold-style-cast $<$<BOOL:${XSAN_WERROR}>:-Werror>)
target_include_directories(xsan_warnings INTERFACE ${CMAKE_SOURCE_DIR}/src)
# GCC takes the sources of a unity build for headers, in which a coroutine's frame may have no field of an anonymous
# namespace's type.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(xsan_warnings INTERFACE -Wno-subobject-linkage)
endif()
if(XSAN_BARE_TRAFFIC)
    target_compile_definitions(xsan_warnings INTERFACE XSAN_BARE_TRAFFIC)
endif()
if(XSAN_MUTANTS)
    target_compile_definitions(xsan_warnings INTERFACE XSAN_MUTANTS)
endif()
if(XSAN_SANITIZE)
    target_compile_options(xsan_warnings INTERFACE -fsanitize=${XSAN_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all)
    target_link_options(xsan_warnings INTERFACE -fsanitize=${XSAN_SANITIZE})
    # What the address sanitizer finds as well, and alignment, of which x86 is no judge: these checks make a third of the
    # time of compilation.
    if(XSAN_SANITIZE MATCHES "address,undefined")
        target_compile_options(xsan_warnings INTERFACE -fno-sanitize=null,object-size,vptr,alignment)
    endif()
endif()
# Under XSAN_FUZZ coverage is counted in the parsers alone: it costs time. Clang 14 cannot compile
# coroutines with UBSan's check of function pointers.
if(XSAN_FUZZ)
    set(coverage_flags -fprofile-instr-generate -fcoverage-mapping)
    target_compile_options(xsan_warnings INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize=function)
    target_link_options(xsan_warnings INTERFACE -fsanitize=fuzzer-no-link ${coverage_flags})
    file(STRINGS ${CMAKE_SOURCE_DIR}/tests/fuzz/parsers.txt parser_lines REGEX "^[a-z]")
endif()

# Sources of the calling folder, by their path in src.
function(xsan_cover_parsers folder)
    foreach(source ${ARGN})
        string(REGEX MATCH "[a-z_]+ src/${folder}/${source}" listed "${parser_lines}")
        if(listed)
            set_source_files_properties(${CMAKE_SOURCE_DIR}/src/${folder}/${source}
                PROPERTIES COMPILE_OPTIONS "${coverage_flags}")
        endif()
    endforeach()
endfunction()

function(xsan_layer name)
    cmake_parse_arguments(L "" "" "SOURCES;DEPS;LIBS" ${ARGN})
    set(target xsan_${name})
    add_library(${target} STATIC ${L_SOURCES})
    xsan_cover_parsers(${name} ${L_SOURCES})
    list(TRANSFORM L_DEPS PREPEND xsan_ OUTPUT_VARIABLE deps)
    target_link_libraries(${target} PUBLIC xsan_warnings ${deps} ${L_LIBS})

    set(link_main ${CMAKE_BINARY_DIR}/link_test_main.cc)
    if(NOT EXISTS ${link_main})
        file(WRITE ${link_main} "int main() { return 0; }\n")
    endif()
    add_executable(link_test_${name} EXCLUDE_FROM_ALL ${link_main})
    target_link_libraries(link_test_${name} PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${target}>")
    add_dependencies(xsan_link_tests link_test_${name})
endfunction()

add_custom_target(xsan_link_tests)

# Catch2's own implementation is compiled once, not with each executable.
add_library(xsan_catch_main STATIC ${CMAKE_SOURCE_DIR}/tests/support/catch_main.cc)
target_link_libraries(xsan_catch_main PUBLIC xsan_warnings Catch2::Catch2)

function(xsan_unit_test name)
    cmake_parse_arguments(T "" "" "SOURCES;THREADED;LAYERS;LIBS" ${ARGN})
    if(XSAN_SANITIZE STREQUAL "thread")
        set(T_SOURCES)
        if(NOT T_THREADED)
            return()
        endif()
    endif()
    set(target unit_${name})
    list(TRANSFORM T_LAYERS PREPEND xsan_ OUTPUT_VARIABLE layers)
    add_executable(${target} ${T_SOURCES} ${T_THREADED})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${target} PRIVATE xsan_warnings ${layers} ${T_LIBS} xsan_catch_main)
    if(NOT TARGET unit_tests)
        add_custom_target(unit_tests) # all of them, and nothing else
    endif()
    add_dependencies(unit_tests ${target})
    add_test(NAME unit/${name} COMMAND ${target})
    set_tests_properties(unit/${name} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()
