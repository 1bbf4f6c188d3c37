quorate_test(storage_digest_test LABEL unit SOURCES storage/digest_test.c LINKS quorate_storage)
quorate_test(storage_digest_random_test LABEL unit SOURCES storage/digest_random_test.c LINKS quorate_storage)
quorate_test(storage_determinism_test LABEL unit SOURCES storage/determinism_test.c LINKS quorate_storage Threads::Threads m)
