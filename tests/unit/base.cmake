quorate_test(base_buf_test LABEL unit SOURCES base/buf_test.c LINKS quorate_base)
quorate_test(base_crc32c_test LABEL unit SOURCES base/crc32c_test.c LINKS quorate_base)
quorate_test(base_metrics_test LABEL unit SOURCES base/metrics_test.c LINKS quorate_base)
