# Windows' compiler has to be GCC or Clang for MinGW-w64: kernels are written in their vectors, which Microsoft's has not.
if(MSVC)
  message(FATAL_ERROR "medmamba is not built by Microsoft's compiler or for its library: use GCC or Clang of MinGW-w64.")
endif()

# Windows keeps the stack aligned to 16 bytes, and GCC spills AVX registers there as if it were 32 or 64
# (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=54412). So the assembler, from binutils 2.38 on, is told to encode moves
# for memory that need not be aligned, which on aligned memory take no longer.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-Wa,-muse-unaligned-vector-move MEDMAMBA_UNALIGNED_MOVES)
  if(NOT MEDMAMBA_UNALIGNED_MOVES)
    message(FATAL_ERROR "This GCC needs binutils 2.38 or newer, without which AVX registers are spilled wrongly on Windows.")
  endif()
  add_compile_options(-Wa,-muse-unaligned-vector-move)
endif()
# Windows 10 is the oldest that Node 20 runs on.
add_compile_definitions(_WIN32_WINNT=0x0A00 NOMINMAX WIN32_LEAN_AND_MEAN)
# The compiler's own libraries become part of each file: no Windows has them.
add_link_options(-static)
