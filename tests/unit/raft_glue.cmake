# The log's tests run on a simulated disk.
foreach(test log_crash log_damage log_flip log_give log log_mend log_swap log_trim)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
endforeach()
quorate_test(raft_glue_meta_test LABEL unit
    SOURCES raft_glue/meta_test.c LINKS quorate_raft_glue quorate_testlib)

# The driver's tests stand on a server in memory.
set(raft_glue_server raft_glue/memlog.c raft_glue/server.c)
set(raft_glue_links quorate_raft_glue PkgConfig::RAFT)
foreach(test message driver driver_campaign driver_feed driver_install)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c ${raft_glue_server} LINKS ${raft_glue_links})
endforeach()
foreach(test driver_log_guards driver_vote_guards)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/promise.c ${raft_glue_server} LINKS ${raft_glue_links})
endforeach()
quorate_test(raft_glue_driver_cluster_test LABEL unit
    SOURCES raft_glue/driver_cluster_test.c raft_glue/world.c raft_glue/world_check.c ${raft_glue_server}
    LINKS ${raft_glue_links})

# What stands on a member of the group.
quorate_test(raft_glue_read_index_test LABEL unit SOURCES raft_glue/read_index_test.c LINKS quorate_raft_glue)
quorate_test(raft_glue_applier_test LABEL unit
    SOURCES raft_glue/applier_test.c raft_glue/fake_consensus.c LINKS quorate_raft_glue quorate_testlib)
quorate_test(raft_glue_applier_room_test LABEL unit
    SOURCES raft_glue/applier_room_test.c raft_glue/fake_consensus.c storage/faulty_vfs.c
    LINKS quorate_raft_glue quorate_testlib PkgConfig::SQLITE)
foreach(test batcher batcher_outcome)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/batcher_scene.c raft_glue/fake_consensus.c
        LINKS quorate_raft_glue quorate_testlib)
endforeach()
quorate_test(raft_glue_consensus_open_test LABEL unit
    SOURCES raft_glue/consensus_open_test.c raft_glue/members.c LINKS quorate_raft_glue quorate_testlib PkgConfig::RAFT)
foreach(test consensus consensus_found consensus_life)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/consensus_scene.c raft_glue/members.c
        LINKS quorate_raft_glue quorate_testlib PkgConfig::RAFT)
endforeach()
foreach(test consensus_image consensus_members consensus_world)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/gallery.c raft_glue/members.c
        LINKS quorate_raft_glue quorate_testlib PkgConfig::RAFT)
endforeach()
