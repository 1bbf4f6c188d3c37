quorate_test(testlib_sim_test LABEL unit SOURCES testlib/sim_test.c LINKS quorate_testlib)
quorate_test(testlib_disk_test LABEL unit SOURCES testlib/disk_test.c LINKS quorate_testlib)
quorate_test(testlib_net_test LABEL unit SOURCES testlib/net_test.c LINKS quorate_testlib)
