import time
from tests.api.rule_files import *
from tests.api.conftest import site, lab
def test_big(lab):
    text=file(schedules={f"s{i:03}": SCHEDULE for i in range(150)})
    a=time.time(); apply(lab,text); b=time.time(); apply(lab,exported(lab)); c=time.time(); print("BIG",b-a,c-b)
