foreach(test log_crash log_damage log_flip log log_trim)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
endforeach()
quorate_test(raft_glue_meta_test LABEL unit
    SOURCES raft_glue/meta_test.c LINKS quorate_raft_glue quorate_testlib)
set(raft_glue_server raft_glue/memlog.c raft_glue/server.c)
quorate_test(raft_glue_driver_log_guards_test LABEL unit
    SOURCES raft_glue/driver_log_guards_test.c raft_glue/promise.c ${raft_glue_server}
    LINKS quorate_raft_glue PkgConfig::RAFT)
quorate_test(raft_glue_driver_vote_guards_test LABEL unit
    SOURCES raft_glue/driver_vote_guards_test.c raft_glue/promise.c ${raft_glue_server}
    LINKS quorate_raft_glue PkgConfig::RAFT)
quorate_test(raft_glue_driver_feed_test LABEL unit
    SOURCES raft_glue/driver_feed_test.c ${raft_glue_server}
    LINKS quorate_raft_glue PkgConfig::RAFT)
quorate_test(raft_glue_driver_cluster_test LABEL unit
    SOURCES raft_glue/driver_cluster_test.c raft_glue/world.c ${raft_glue_server}
    LINKS quorate_raft_glue PkgConfig::RAFT)
