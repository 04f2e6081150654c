# liblockstep, static and shared, and what is installed with it: headers, lockstep.pc, a CMake package. All lies in bin, lib
# and include below one prefix and finds the rest from there, so that the whole may be moved.
file(STRINGS src/base/version.h LS_ABI REGEX "LS_ABI = ")
string(REGEX REPLACE ".*LS_ABI = ([0-9]+).*" "\\1" LS_ABI "${LS_ABI}")

foreach(folder base h5 graph ops zoo cpu plain_base plain_v3 plain_v4 comm data train study)
  if(TARGET lockstep_${folder})
    list(APPEND objects $<TARGET_OBJECTS:lockstep_${folder}>)
  endif()
endforeach()
set(libraries MPI::MPI_C ${HDF5_C_LIBRARIES} PkgConfig::YAML PkgConfig::XXHASH ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
if(JPEG_FOUND)
  list(APPEND libraries JPEG::JPEG)
endif()
if(PNG_FOUND)
  list(APPEND libraries PNG::PNG)
endif()
if(LOCKSTEP_USES_AEC)
  list(APPEND libraries ${AEC_LIBRARY})
endif()
if(LOCKSTEP_USES_ONEDNN)
  list(APPEND libraries ${DNNL_LIBRARY} OpenMP::OpenMP_C)
endif()

add_library(lockstep-static STATIC ${objects})
add_library(lockstep-shared SHARED ${objects})
set_target_properties(lockstep-static lockstep-shared PROPERTIES OUTPUT_NAME lockstep LINKER_LANGUAGE C)
set_target_properties(lockstep-shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${LS_ABI})
target_link_libraries(lockstep-shared PRIVATE ${libraries})
target_link_options(lockstep-shared PRIVATE LINKER:--as-needed)
if(NOT CMAKE_C_FLAGS MATCHES "sanitize") # clang's are the program's to bring
  target_link_options(lockstep-shared PRIVATE LINKER:--no-undefined)
endif()
install(TARGETS lockstep-static lockstep-shared ARCHIVE DESTINATION lib LIBRARY DESTINATION lib)

# ---- headers
file(STRINGS cmake/public-headers public_headers REGEX "^[a-z]")
set(header_files src/include/lockstep/lockstep.h)
foreach(header ${public_headers})
  if(EXISTS ${CMAKE_SOURCE_DIR}/src/${header})
    list(APPEND header_files src/${header})
  else()
    list(APPEND header_files ${header})
  endif()
endforeach()
list(TRANSFORM header_files PREPEND ${CMAKE_SOURCE_DIR}/)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/public-headers src/base/version.h)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/include/stamp
  COMMAND ${CMAKE_COMMAND} -DFROM=${CMAKE_SOURCE_DIR} -DTO=${CMAKE_BINARY_DIR}/include
    -P ${CMAKE_SOURCE_DIR}/cmake/public-headers.cmake
  COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/include/stamp
  DEPENDS ${header_files} cmake/public-headers cmake/public-headers.cmake
  COMMENT "Laying the public headers out"
  VERBATIM)
add_custom_target(lockstep-headers ALL DEPENDS ${CMAKE_BINARY_DIR}/include/stamp)
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/lockstep DESTINATION include)

# ---- pkg-config and CMake
# What a static link wants besides; such a program shows its functions to the CUDA module itself.
set(static_libs -rdynamic -lyaml -lxxhash -lz -lpthread -ldl -lm)
foreach(library ${MPI_C_LIBRARIES} ${HDF5_C_LIBRARIES})
  if(library MATCHES "^(/|-)")
    list(APPEND static_libs ${library})
  else()
    list(APPEND static_libs -l${library})
  endif()
endforeach()
if(JPEG_FOUND)
  list(APPEND static_libs ${JPEG_LIBRARIES})
endif()
if(PNG_FOUND)
  list(APPEND static_libs ${PNG_LIBRARIES})
endif()
if(LOCKSTEP_USES_AEC)
  list(APPEND static_libs ${AEC_LIBRARY})
endif()
if(LOCKSTEP_USES_ONEDNN)
  list(APPEND static_libs ${DNNL_LIBRARY} ${OpenMP_C_FLAGS})
endif()
list(JOIN static_libs " " static_libs)
configure_file(cmake/lockstep.pc.in lockstep.pc @ONLY)
configure_file(cmake/lockstep-config.cmake.in lockstep-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lockstep-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/lockstep.pc DESTINATION lib/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/lockstep-config.cmake ${CMAKE_BINARY_DIR}/lockstep-config-version.cmake
  DESTINATION lib/cmake/lockstep)
