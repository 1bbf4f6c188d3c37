# The drivers' tests stand on a server in memory.
set(raft_glue_server raft_glue/memlog.c raft_glue/server.c)
set(raft_glue_links quorate_raft_glue PkgConfig::RAFT)
quorate_test(raft_glue_message_test LABEL unit
    SOURCES raft_glue/message_test.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_test LABEL unit
    SOURCES raft_glue/driver_test.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_feed_test LABEL unit
    SOURCES raft_glue/driver_feed_test.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_install_test LABEL unit
    SOURCES raft_glue/driver_install_test.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_log_guards_test LABEL unit
    SOURCES raft_glue/driver_log_guards_test.c raft_glue/promise.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_vote_guards_test LABEL unit
    SOURCES raft_glue/driver_vote_guards_test.c raft_glue/promise.c ${raft_glue_server} LINKS ${raft_glue_links})
quorate_test(raft_glue_driver_cluster_test LABEL unit
    SOURCES raft_glue/driver_cluster_test.c raft_glue/world.c raft_glue/world_check.c ${raft_glue_server}
    LINKS ${raft_glue_links})
