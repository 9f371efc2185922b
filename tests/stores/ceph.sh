# One node of Ceph with its object gateway, all in memory: sh ceph.sh FOLDER GATEWAY_PORT MONITOR_PORT
# Its keys are user_test and rps_test. It ends with its process group.
set -e
folder=$1
cd "$folder"
mkdir mon osd mgr rgw
fsid=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF="$folder/ceph.conf"
cat > ceph.conf <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$3
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
run dir = $folder
admin socket =
pid file =
log file = $folder/\$name.log
keyring = $folder/keyring
mon data = $folder/mon
osd data = $folder/osd
mgr data = $folder/mgr
rgw data = $folder/rgw
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
mon allow pool size one = true
rgw frontends = beast endpoint=127.0.0.1:$2
CONF
ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
for who in client.admin mgr.x osd.0; do
    ceph-authtool keyring --gen-key -n $who --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
done
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$3]" monmap
ceph-mon --mkfs -i a --monmap monmap --keyring keyring
ceph-mon -f -i a &
ceph --connect-timeout 30 -s
ceph-mgr -f -i x &
osd=$(cat /proc/sys/kernel/random/uuid)
ceph osd new "$osd" 0
ceph-osd --mkfs -i 0 --osd-uuid "$osd"
ceph-osd -f -i 0 &
until ceph osd stat | grep -q '1 up'; do sleep 0.2; done
radosgw -f -n client.admin &
radosgw-admin user create --uid=test --display-name=test --access-key=user_test --secret-key=rps_test
wait
