# The guardian of commands (src/io/guardian): a static program without a C library, whose bytes become
# part of the library. Made by hand, since no flag of the rest is right for it: no sanitizer, no
# coverage, no start files.

set(guardian_program ${PROJECT_BINARY_DIR}/guardian/knit-guardian)
set(guardian_flags -std=c11 -Os -ffreestanding -fno-builtin -fno-stack-protector -fno-pie
    -fno-asynchronous-unwind-tables -static -nostdlib -s
    -Wl,--build-id=none -Wl,-z,noexecstack)
if(CMAKE_C_COMPILER_TARGET)
    list(APPEND guardian_flags --target=${CMAKE_C_COMPILER_TARGET})
endif()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/guardian)
add_custom_command(OUTPUT ${guardian_program}
    COMMAND ${CMAKE_C_COMPILER} ${guardian_flags} -o ${guardian_program}
        ${PROJECT_SOURCE_DIR}/src/io/guardian/main.c
    DEPENDS
        ${PROJECT_SOURCE_DIR}/src/io/guardian/main.c
        ${PROJECT_SOURCE_DIR}/src/io/guardian.h
        ${PROJECT_SOURCE_DIR}/src/io/procstat.h
        ${PROJECT_SOURCE_DIR}/src/plat/bare.h
        ${PROJECT_SOURCE_DIR}/src/plat/syscall.h
    COMMENT "Building the guardian of commands"
    VERBATIM)
# Two targets pack one set of objects: they wait for the program, which is made once.
add_custom_target(knit_guardian DEPENDS ${guardian_program})
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/io/guardian.S PROPERTIES
    OBJECT_DEPENDS ${guardian_program}
    INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR}/guardian)
