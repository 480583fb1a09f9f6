#!/bin/bash
# B-ldap-photo: the dump is the photo of an entry in a directory; somebody of the sink zone searches for it.
# flow: ldapadd reads and sends on loopback; a thread of slapd writes a database that is mapped; another reads it there and sends.
# tools: slapd ldapadd ldapsearch
# expect: sent counted any-port critical
. "$CORPUS/lib.sh"
mkdir db
cat >slapd.conf <<END
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile $W/pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=x"
rootdn "cn=a,dc=x"
rootpw x
directory $W/db
maxsize 67108864
END
bg slapd -d 0 -f slapd.conf -h "ldap://$SOURCE:$PORT"
until_true listens "$SOURCE" "$PORT"
mkdump
ldapadd -x -H "ldap://$SOURCE:$PORT" -D cn=a,dc=x -w x >/dev/null <<END || fail "ldapadd"
dn: dc=x
objectClass: domain
dc: x

dn: cn=core,dc=x
objectClass: inetOrgPerson
cn: core
sn: core
jpegPhoto:< file://$D
END
sleep 1
there ldapsearch -x -LLL -o ldif-wrap=no -H "ldap://$SOURCE:$PORT" -b dc=x cn=core jpegPhoto |
    sed -n 's/^jpegPhoto:: //p' | base64 -d >got
same got
