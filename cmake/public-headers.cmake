# Lays the installed headers out as include/lockstep/<folder>/<name>.h, with each other's names as users must write them:
#   cmake -DFROM=<source folder> -DTO=<folder> -P cmake/public-headers.cmake
file(STRINGS ${FROM}/cmake/public-headers headers REGEX "^[a-z]")
file(REMOVE_RECURSE ${TO}/lockstep)
foreach(header include/lockstep/lockstep.h ${headers})
  foreach(place ${FROM}/src ${FROM})
    if(EXISTS ${place}/${header})
      file(READ ${place}/${header} text)
    endif()
  endforeach()
  string(REGEX REPLACE "\n( *)#include \"" "\n\\1#include \"lockstep/" text "${text}")
  string(REGEX REPLACE "^include/lockstep/" "" name ${header})
  file(WRITE ${TO}/lockstep/${name} "${text}")
endforeach()
