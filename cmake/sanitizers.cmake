# KNIT_SANITIZE=address (ASan and UBSan) or thread (TSan): for everything, or the reports lie.

if(KNIT_SANITIZE STREQUAL "address")
    set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(KNIT_SANITIZE STREQUAL "thread")
    set(flags -fsanitize=thread -fno-omit-frame-pointer)
elseif(KNIT_SANITIZE)
    message(FATAL_ERROR "KNIT_SANITIZE is '${KNIT_SANITIZE}'; it may be address or thread")
else()
    set(flags)
endif()

add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:${flags}>")
add_link_options(${flags})
