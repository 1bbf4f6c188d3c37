quorate_test(cluster_frame_test LABEL unit SOURCES cluster/frame_test.c LINKS quorate_cluster)
quorate_test(cluster_outbox_test LABEL unit SOURCES cluster/outbox_test.c LINKS quorate_cluster)
quorate_test(cluster_handshake_test LABEL unit SOURCES cluster/handshake_test.c cluster/side.c LINKS quorate_cluster)
quorate_test(cluster_handshake_forgery_test LABEL unit
    SOURCES cluster/handshake_forgery_test.c cluster/side.c LINKS quorate_cluster)
quorate_test(cluster_handshake_outsider_test LABEL unit
    SOURCES cluster/handshake_outsider_test.c cluster/side.c LINKS quorate_cluster)
quorate_test(cluster_peers_members_test LABEL unit
    SOURCES cluster/peers_members_test.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_join_test LABEL unit
    SOURCES cluster/join_test.c cluster/intruder.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_peers_test LABEL unit
    SOURCES cluster/peers_test.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_peers_refusal_test LABEL unit
    SOURCES cluster/peers_refusal_test.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_peers_fault_test LABEL unit
    SOURCES cluster/peers_fault_test.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_peers_intruder_test LABEL unit
    SOURCES cluster/peers_intruder_test.c cluster/intruder.c cluster/station.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_peers_trap_test LABEL unit
    SOURCES cluster/peers_trap_test.c cluster/intruder.c cluster/station.c LINKS quorate_cluster quorate_testlib)
foreach(test forward forward_question)
    quorate_test(cluster_${test}_test LABEL unit
        SOURCES cluster/${test}_test.c cluster/forward_scene.c LINKS quorate_cluster quorate_testlib)
endforeach()
quorate_test(cluster_cluster_id_test LABEL unit SOURCES cluster/cluster_id_test.c LINKS quorate_cluster)
# These stand on a whole cluster in the simulator.
foreach(test deadlines disk_error divergence neighbours replica requests space stale stop)
    quorate_test(cluster_${test}_test LABEL unit
        SOURCES cluster/${test}_test.c cluster/asker.c LINKS quorate_group storage_kit)
endforeach()
foreach(test ship ship_crash ship_damage)
    quorate_test(cluster_${test}_test LABEL unit
        SOURCES cluster/${test}_test.c cluster/ship_scene.c cluster/asker.c cluster/surgeon.c LINKS quorate_group)
endforeach()
foreach(test compactor divergence_vote found images members served shelf ship_message ship_target)
    quorate_test(cluster_${test}_test LABEL unit SOURCES cluster/${test}_test.c LINKS quorate_cluster quorate_testlib)
endforeach()
quorate_test(cluster_calls_test LABEL unit SOURCES cluster/calls_test.c LINKS quorate_cluster quorate_testlib)
quorate_test(cluster_repair_test LABEL unit
    SOURCES cluster/repair_test.c cluster/asker.c cluster/surgeon.c LINKS quorate_group)
foreach(test steward wish)
    quorate_test(cluster_${test}_test LABEL unit SOURCES cluster/${test}_test.c cluster/council.c LINKS quorate_cluster)
endforeach()
foreach(test membership membership_storm)
    quorate_test(cluster_${test}_test LABEL unit
        SOURCES cluster/${test}_test.c cluster/town.c LINKS quorate_cluster quorate_testlib)
endforeach()
quorate_test(cluster_begin_test LABEL unit SOURCES cluster/begin_test.c LINKS quorate_cluster quorate_testlib)
