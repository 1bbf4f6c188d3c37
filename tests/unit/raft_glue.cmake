quorate_test(raft_glue_log_test LABEL unit
    SOURCES raft_glue/log_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
quorate_test(raft_glue_log_crash_test LABEL unit
    SOURCES raft_glue/log_crash_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
quorate_test(raft_glue_log_flip_test LABEL unit
    SOURCES raft_glue/log_flip_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
quorate_test(raft_glue_meta_test LABEL unit
    SOURCES raft_glue/meta_test.c LINKS quorate_raft_glue quorate_testlib)
