# find_package(quorate) gives the target quorate::quorate.
include(${CMAKE_CURRENT_LIST_DIR}/quorateTargets.cmake)
