foreach(test log_crash log_damage log_flip log log_trim)
    quorate_test(raft_glue_${test}_test LABEL unit
        SOURCES raft_glue/${test}_test.c raft_glue/log_rig.c LINKS quorate_raft_glue quorate_testlib)
endforeach()
quorate_test(raft_glue_meta_test LABEL unit
    SOURCES raft_glue/meta_test.c LINKS quorate_raft_glue quorate_testlib)
