"""Databases of RPM as its own tools wrote them, and one of ndb by its layout.

rpm 4.18 of Debian 12 installed three packages into an SQLite database; db5.3_load wrote the same headers as a hash table of
Berkeley DB with pages of 4,096 bytes, as rpm 4.15 has it. openssl and kylin-release are small, bash is on pages of its own.
"""

from __future__ import annotations

import base64
import sqlite3
import struct
import zlib

SQLITE = zlib.decompress(
    base64.b85decode(
        "c-rlnZEPGz8OQg0&Px-AxFq!M>;z7zQXP`J?C#9Y&L9`+q$aWI*d}qRL`@+xJG1eTv(LRdrw+6qB30r=h(<I;YN;Y5f&i&V2vw*^0V)+$NEFczMG8`o@"
        "}WQr2^3VKNJ$gsZl9|?Lm>$&QswMp@7?`(cIKX)eSZ65|Mz@)w9-"
        "_?xK^L$%_4HTolM5Lr&x3xC##pW&O&tQrF)UiIM<J?Q;srgTAj0lPWEg1C5<$eNKAAs&u!kE+27=%su~YfHAtUrsE6j%Ok~UK_T9rnlf%Wyp>3nXMXPa"
        "OhEJ<4T5X!mtjKNLm^p^pLr(DMFh8Uko%b$dkh?mo?<x*V&CE>~N5&?HcMR_?PV64pHMDzw@xI~x#i6~E<0E6b-"
        ">%`Y$t|K<6UA+#<J*d3<CDd)y`!U>mbKZu*xH@7*~`g?G}1_8iN}i8<$QVj+MLP$!_mKKq>;vwkDg3+W2STOkcE}{zCL><xu@@*0)4inw>!02HPdKR9j"
        "~l^rX4RRA3o~2oo9fC)0nE&o6g}iKYr@SbbH<MaouCjo>6D-Ok-"
        "9>mAIm$Q?1O*%{wzSUXP~iXNsW<$4(tPm8@uu(^;GlMFP=)azaB+F~bo@$VYB~T#xwFkCEgOF^T;sCVs@R3YnDL=R67}<B@}e6avSJA{Iu{7Zm##xdO2"
        "$ieuN~ln@k!fyZ#5;y^L(GUbyn7F2i=1?=BvuU@M)|MLsXRVkUP63kV(QIE>?+4k&QTNIs{)sw!ev*^vL6)~{AHa%NcjfRq+s#MjOzCUbia-glX=H7}v"
        "c+G`%6Z~kk#@ib=cJd=?qORh~{3ZvL-"
        "7+qD4la|j+kQ`8Jz91<&v1*EE_m*1#Y*qv=6+bueqEjXC2#U~%4BP8wz)NVg;iS3HR@YMWoD~W8uyE(LryeXsX2!}Uzv3n)I>=tQQ<SCq)y&7+TSTFbr"
        "m&h^`p+vp6w$e#ip8XcJiHT#wDr?G<Fq7vCk-vkzTx5grQ4g$pVI`j0D5FCU{6`h?xo`3G|!q38gUCKgn1a#k#Nr<&;N+cvJ?VhXY12r;$em5ma$kF*o"
        "2rC}Nihf)vKC?%+#TL{V#yPqr?z*REZ8LBIDV7u|vI*=O#5^y%r{Cw{;Bk6XX-eXJtN6r&M#5s#%#P|7Hbks!KeLrE|pQhy)y95)oy<v0*Z*D&=JW||F"
        "5l;VMid=fCsna6w*`vj|4#Bs<x>FKg|x%6d#6SkfP>{`$9*#-"
        "R$^RFk&A3my&L#eK+iZ_&_kGz)@K*N~_MmwzUnyd1e;>4cO;t~G_fL~&~8}n51G+Q?Ci+ML^)p`GN-"
        "`Nj~Jv09{_2#NY>>Ca5%^BbZ`PauEA&G@R0()^7Mlq+Jj~G>cqzegg5lcc`7a`&b$%RXONvIMcCLWH%WT#i^nuvmcD;&F+>DrUAhp`_M9C-"
        "S~frRI4LSrFR#6vG)u}?i$pIrnESr~>wF6RH01^&xF`Qp{Vt8ahe(!)>Gwmo^z9cLrNBgq*FJrxm*V;UkX0$r07hpxmtB+`$VPaWdB$P0C~6Ha5*%9!b"
        "7q+rYsLm!1ci}Wc>kie6=z_Cxmkh}WS7I>a3m7*s9`40c>`+t259Cnkp5swdMx}B4c=uda+q0V)7SAS-(yRA7`xp3^-=a%JAYc2f-"
        "=vAQq4ElD^e}TU@ZUB8=zu%^pBIpaCKMMM<u>An&zrlE0K>r=uUC<Yy9fQ6E;|+p-8`^h*z6yE_?vuJ<ynP8f-"
        "OGU?3HmnBp98%Lwx0#P8s_H_&^@59fnJkrpXmm@HfhiFg6;+V5zy<C{4!<8??cdk0@`!1{Q+ptLwhIR0<?GX>jV9B&;v03Z=wGV=zkX4cY=N$^a%8S3-"
        "mr{zXbjFL;Drb2a@)#&i*}^w0CU){Ta|6Xp!X8H4gnH==(t{&<}u)K_3KN1uZ}~;rr)d{5jB%fj$D?e>~Cao`Cl6CH>dE1mism`Zd`8N1*=z+rI_+4QP"
        "k?$YkIeJPLXl@HCO|)P7Xg<7XlN%<Z7R4E6aY^nV%lXBn)21@gZG+FynCLk<*KriJj`|HGri<5b^BoNOk{wE66u1BP$%9MEf>1J+s0_gTzuu$V7e%-"
        "?A-KVUJx#bTaW%nw`4-"
        ")AvDX)%A$Vm`K*uUgE{Tg+d!n0GAZdo1SrE#^OFF+XZCzt3WR%3{80G5?~){O>I0&sof$x0t_VF@MEmzRR(g@3ENATg)?y`3EiLrNw;3Vt&SAe%50CF^"
        "l=*7W2<o%s*!_|GdTg&rIgCj>&ws+hTs7#ry$_`KrbIlNR%5EauNz%%5A#yw<P5{nWCg{yTXWE}D7wQ8VwpK{M~Z<7VD{C(OM2PMLZ4{o2gCzt_yWf4!"
        "M^f8NZye}nlqivD8qydrpG$_ezXt>1Z0;c29i#&x50|DDc48fo0J{I5=DA&oR{S^j&{Sx6&|TbBPd=`5s?#x2YL2hv$cBaK^@f9L-_{$jt-"
        "j)~DDX!CWQLQBji)cXHKDJZ)o|G)Wz+W*CPANzt9cEI%HwDWG;f!d!Ixqw>wy|Vw^sQ(9hu3#A9z>gFQq)&V-SinNWgpv&VQt(JJ6}usgBK-+-"
        "&!=Hb0!q9f#4;I+NWHaBIf|q%DPQQakt{~cm4U($@<c#A<i?W61ceeQ;tGxe?uIQp9*)$z`+q*XZ~pY@Kdl{-"
        "zxn64?(K<w#a~pRkkn;FssM41QWs<Fa^i=PAQ&MM>jK5D&m4jjkA?E$zzsY?UC9{@7*~-"
        "DiSYH#AQ3Rn^Ccr8(<}5&F_*?33y742Bh&xmnEsy&PV0Bc$4_Uo-Ogp1_!au^T<|OOJ$jRVg%y@xVYTH~_@L!iSa13ja$hq23c0VEeudm|)31;_Vfqzv"
        "-!%OSx$l~Oh1?HJze4Ug)31<w!SpNSUNZd(xtC49Lhg*|SI9qL`W5mAO}|3EYWfxOUoia&`LCFMh5RYguaN(t=~u`<Z~7JTzcBp@g>|N1p|HvHD-"
        ">MQuTU5?{R)MhreC2jYWful6Q*CGaKQ8{6sAnSLg8W4uTc29=~pN`W%?BgCr!UX;oGKPq3|8kuTVH``V|VlH2n&NS53b{;k@ZrD7*>h)0O`MEGX(("
    )
)
BERKELEY = zlib.decompress(
    base64.b85decode(
        "c-rloeTW=q9mk)&yIj+}c&SOdyLX`;rGF%~yP28indha%mzcgJcs7U85@}lUJo7x0TeG=6Za3*g?H`4LFDL~20<A@a#y6-"
        "S5+p*<LZt{+tPmkWtofs@X-"
        "#YkH3XU_KD+bVW}m0ACQ!Au&*zw(`99Cg>@&|jGkc%g8H5ljp#pjJD7vz{u)<D@i?UJlb{@X&afHqxbkhxgIkmY}l$8ed)8#{U`op(o?)J+Afj}S-"
        "2m}IwKp+qZ{BQ6beFVKQhL*oEc6#i!F}oB91OkCTAP@)y0)ar_|AArjgCiq$e((w_`a@mYA0AZx?!u7c|IhXO|CO<q$DX^0|6j`Y|4UH#{yz{11OkCTA"
        "P@)y0)hXY_%E{alh=atcMH1nL*4%blm`5Ncwnnix7x0NK4#00+xaK#Wb?2<#j^n#z4d%RcjMs`sCZCd2=Ysimq30Q@>P)k*83*|LaQO4wDazR2a}LbLB"
        "0<1-(meVkY9oQ-"
        "3a+LsE;6@hI#_|4D4?`<Ts&y6XbJ{Z!hx52<&fL(J>>V&_NpVm5{#(c?qmP2YD&<&sQKXgM1$H@?!nc2;{M%zO(`|JbzL82;@~o`$~0a-"
        "_@}FG}M=2{q0a+f%<-Xt5Dx>-"
        "#Fx7L0$v<|08UF8*G0J>Ni0?0eLfQ|2pJtP=5xt{{qyXg}l9}AL<|9T}A!SYRGp(jv=d}Jwsbydky&x$OiJAkaNg8AU7c^$Q^k91=#-{$oE6u3-"
        "7<b$SWU!`X3eBuY4Nz_XOnUVf~*$egW2h9r8<15B<?Q(QN(j6y!y4K1~<rQ)zjz|6yo<=_<%yhw=F;Z2t@#&mt&)7TSLe)E|NRosf@0o`Kx`eU>(&)|{"
        "Dbx0@)g+n?PiPV2k&#Zmu!Zlm^0YrcbaE&ur=dw2KBMz`24wr-t5pPy~dnXHjFj7H7I?4AWQ+miFy%)rH?dkq-baO%DT_Z=t-"
        "y8G!*h~Z3Oo^nY!lbi^WNsJR5r8tUd!jl|psj<)`$#R-xk{BkmmWh-"
        "Z(?VtlE3FjC4ab6II#HY?1V;*sEX(sKmYh<Yu{0JWHF;`;jD$%j%N19##;JJwHFCby>ip{$=&M@MS2gIXdV4;r&(HOG=llTup0%C6q(9l!nhmvPV{7-"
        "^ylJ<MzO~Ubx69q8y%s@Tx8&x=PSfsOD4Ul1nl0H|xxGp5HPiDZZ!D}uxE|F>Ek>kH>rroByvDp9^)Kdw)6l@heQ|t~dmPS1->%zlzm^^O)-"
        "YMun(M49UZKdQJ?;5*sxi9`)wU#)wVf!NYqZeLFE!?nfH6_iMm6MYtr#a4rT3n?F>kU?YknWvuyy0+&66Fo(CN2#PbaT&J3#ZuNSr5v%N*M&&J|-"
        "3&$UPe<~mb?*fAj)=ZpxGYMR<v5-Vefv_HkZ2+r-mQe1MGQ5tidvY4cT6UnofE2_AWkr7cUQ>OArD2fdsk=-ECk;*dE{~$bn{_K<RL1@z&_QYd%-"
        "23S6&p!C)r7x~~_{YR#To}PK5@DHZ+d!=|mSaWjm}Qz0O0|7I9;1jU9!ZiaW5+O03=#I+Ak-"
        "L{sw|<YAX3C4p?N}y$yJ^+5$o6v>qzQEr=&Qy9);7c_gQiw2LgdWAP@+=6QCyp`C#Gy>%q<Y{(sA5`u_^g|5tjxKkoVdYR~s4J>S3H^ZhlR@89V8zVLk"
        "i7SH!T?fL%aJm25p`F`&Ce$(^)1<&{2@O&S6zQ4@#{Rz+aZ}5D7%Jcngp6}0izTfeD|0&P+|K$1panJWpdcJ?g^Zm1~?++o*_m_FTU-"
        "5ijc)ov^=lk08{f6iJv!3tIdA@(Y=llCT-+#>W{ezzGAM$+vm#*&*BiHwbM?Bx(=K211&-a_2??2@E{!!2Ok9od--1GhCJ>Nf3`2Mba*1>A?rfFo`AZv"
        "YbA%E@OfF1Pw&+KW+*~#gxQ<Hm>OOXBdnd>|KREw=w`?5di`fjhH_pbBzkHhnBxBWficZ&wR->G<a?Eezo-"
        "~RqF)<h|+NSrg4<&wt<7ThG69Y|QJTvHlF7}H2;sUn_e%8gPvjY-amgI;XMM3$z~kUS#7jy;{ngd{m7Y0NmsDo(7O=SrDOvN#iY!sAF_t~e8nF{KCH|J"
        "e)fU;o8d&#gcA=Eu+6^FZrU4}J2QV;Pp2mV&a_WR#GcGfY%!$0R2#(nK<<lT0KW(Imn#v!k6#o||rqg>8&hLL`hOm?a{Ml~FW}wH@Fj;f%?MrnbFtq>b"
        "UO`&WYd2LgdWAP~5G|6c^lqrLp%Sl|CAuD{^_<M&>s|6k$x|5DHYKkWJcD%bzZUvvGx{7u*Y%llpbFF)w|fB8GE|CfL0`hWQ+uK$-"
        "0y8d5&()IuH)2{!QpK<-aeAM;-%AKzNS9ZAmUunAjU-"
        "`1@|CMjJ{$DxZ`hVr8uK!mKx&B}Iwd?=Ym9GC+*Sh{+ja>h)u6O;vy2<tb>XhsM)oIuNtJ_`wug<vsU%kim|LV70|F1sc`hWGiuK!mbcm2Qmeb@i1hh6"
        "`#{>JtH>Jiuft0!ImufFQ~fAzHM|Kr^C|MB&%|Bvr?{eS#H*Z;>4xc)!>JJ<gwR=EB@vC8%TiHht06RTbSpO`HCU&;0iO06m;eeainKp+qZ1OkCT-"
        "~&kC|3?S@2T($z*8fA_1OkCTAP@)y0{@A>zX$KYyKQ=EFaGGiz4z{YcIRF98;V+5k7~&~-"
        "Er6Z9^*ZHr`?4EaPM;KwYztNU2kdNzPfIHw;rau)H~`(94SFCNt4WoR3|hcN~D5ep^O$J(Mo1om^@-U%j^=7al%<nQ%>WQ5nb$yYP)vACC;=RQi-"
        "y|MvEMaNT-HmI94f-ag=MBQ_M6rG*S|$GGg6_+el_Een;K4+ZGNV{_EHV{ri7>@8)IMZ{<^lDa|86wMnszIgbb-"
        "k)#RB6eSqb+zwC@B?3`wWUfq{r%@VH9%(6fDx}FYqbjingH<ZxIMISKVGHa*iHPU1NU7FTV)u?Z^g+3!?w=oVwa5"
    )
)


def headers() -> list[bytes]:
    """The headers of the three packages."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(SQLITE)
    found = [blob for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum")]
    connection.close()
    return found


def ndb(blobs: list[bytes]) -> bytes:
    """A database of ndb with one page of slots (rpm, lib/backend/ndb/rpmpkg.c); none of our platforms' tools writes one."""
    slots, body = b"", b""
    for index, blob in enumerate(blobs, 1):
        start = (4096 + len(body)) // 16
        record = struct.pack("<4sIII", b"BlbS", index, 1, len(blob)) + blob
        record += bytes(-len(record) % 16)
        slots += struct.pack("<4sIII", b"Slot", index, start, len(record) // 16)
        body += record
    head = struct.pack("<4sIIII", b"RpmP", 0, 1, 1, len(blobs) + 1) + bytes(12)
    rest = struct.pack("<4sIII", b"Slot", 0, 0, 0) * ((4096 - len(head) - len(slots)) // 16)
    return head + slots + rest + body
