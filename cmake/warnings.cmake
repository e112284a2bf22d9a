# knit_warnings: what all our own code is compiled with. Link it PRIVATE; it is never installed.

set(common -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
set(c_only -Wstrict-prototypes -Wmissing-prototypes -Wvla)
if(KNIT_WERROR)
    list(APPEND common -Werror)
endif()

add_library(knit_warnings INTERFACE)
target_compile_options(knit_warnings INTERFACE
    "$<$<COMPILE_LANGUAGE:C>:${common};${c_only}>"
    "$<$<COMPILE_LANGUAGE:CXX>:${common}>")
