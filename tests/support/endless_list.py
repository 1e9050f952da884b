"""A process list in which one byte is wrong: HDF5 2 comes to no end with it.

Written by `savu_format`, with the byte at 3073 changed from 0 to 4: the size of a group's table.
"""

import base64
import zlib

ENDLESS = zlib.decompress(
    base64.b85decode(
        "c-rk-Pfrs;6yNE#rA3J~c&LA~77k5>22c!Q)FKpmAVB<+G%=<u?V_91-KJegjUn-<H;(-"
        "XJ#z5i(IZDc0!O_04Y1Rh+3pP8Wq}&0eZQoczS*}k?VI1cdGB@mHM_7lG<aiB!iYqqpcIpwIHG7Q@iM!<PFqCVFSKn0S"
        "U+lAi_`wAbbL|o)r(99Yaa<<^Bjao8<7D0h-"
        "_wV4YxTeGnVcLcs<RqDjywu%${>zH~wa2BEJv$<L_Y<_zV1P^LK{%%Mh<uRkyeDhG}V4B9}{B?{q_wbW5wKmX;@S{$0h"
        "~DpwsmS6t?Oxw5)|8O(U6$h^N6c?@v#12X3aV$=^zT%z`q{P}^#E${>22aca(yHQ?mTdP!c)9BhcM*M(m`-"
        "#sBydP*#d4G|#jOV{^^Lp_+)PE^FkCOwu-Wrw5(f@1x*!eGhzsq!mkQ9}!HLbFe%NI&&waV_hj>uZaY#T*5dxe{?`lYr"
        "Fm*!WOk%J&kJ&ctcJ|rZGg+J7dOAk_0oE)|F%N4Vr*&is##tZV}g<R$dAL}pZxPQP!pCNq(_B;Rp0000000000003@4%"
        "}g9Q5`QGr3uGzYdVd|Ej&+4lv&C{CK)NHeq9ddF2pJ(J%vitB_7LmX^_#$vv+=5P9eYn9vfny(Y^*bj0Q~{6j?MU#Q+T"
        "~e+D_U0BS@cdURHk<>(J+|zv4P6tG~(~`y@Ahx_$C9B{^mTfWIX?I+*5pBtmxZ5!d)vYL@xITsGCBR>8j!r^pY%)l`Xe"
        "r8c)prTnI@m5O=RWwh?0;-"
        "`d~m{lgnl!T#v(3)=(_+nxQ6>Hi?t~F%sQ=;6w@TRFWHKrKN0pIQ*SV8~*0002~S$v(O?e}}U9zM)*s~3q}R4o;^YQfU"
        "CwRU_vajHB!V8^TRyF%Pf<@!B7|63p7^|JSAd^6pj>&NmG(O%trP9)f|PDCP2gb;UMyKY44Lc<7u7H6F(Ak>K(BkU9RU"
        "Y#gtKj$<v<*m=+^5mqq9^-"
        "lZgpI`Z&5!Y3&s)yUt7%VOeWSdZ?kQfK#~yJ{d;A*VnfSljBT4e$0O^ZG+Wu{EZuw=VRZDrDVK=$k3ytz4Gt~a6Jx;0v"
        "MILotWk7$%bN2K9f*UO8mTKvyF?q`PPB|eC5#zCL#vvh(I@j7PU*|e$pX@*O{yu>I+9xdB+MD6^idwZ$(aU(N5ZTmQt!"
        "5Nk4<K*o8<tjU^EK%!ZVcJ;mFNA%dD(~jX;h~2?hHTg`g8B`7~j|C{Kc#3^u^A5L_2iT--OQ@k0H-"
        "^EZ`Df^hVyp_%`v(AAi5k`r}*di9h}-Py09T@#dA>lf3$S_6UMKID3S^9-"
        "KYGeP@rbr#%Kn+oxZD*kjn!9z)a~!%#QzRX0&CWZlFqZ%i+B${Quuyb%C-qcd-"
        "0@$KQF$Tym2bvfS=|3BT$d<Xx>_78;!i0A"
    )
)
