# The judges of the simulator, fed by hand with what they must see.
foreach(test oracle history)
    quorate_test(sim_${test}_test LABEL unit SOURCES sim/${test}_test.c sim/record.c LINKS quorate_judges)
endforeach()
quorate_test(sim_ledger_test LABEL unit SOURCES sim/ledger_test.c LINKS quorate_judges)
